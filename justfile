# List the recipes.
default:
    @just --list --unsorted

# Format, lints, documentation and dependencies, warnings as errors.
check:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
    if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: dependencies not checked"; fi

# Every test of the workspace.
test *args:
    scripts/setup && cargo test --workspace {{ args }}

# A relay, a friend with a test card, and you, on this machine.
demo *args:
    cargo run --release -- demo {{ args }}

# The server, for two machines that can both reach this one.
serve *args:
    cargo run --release -- serve {{ args }}

# Your own camera through the whole picture path, no network.
mirror *args:
    cargo run --release -- mirror {{ args }}

# Two processes call each other; or `screen`: pictures against terminal players; or `screen_link`: over a slow ssh line. Bars and figures (docs/benchmarks.md).
bench what="first_call":
    cargo bench -p {{ if what == "screen" { "hullo-picture" } else { "hullo-tests" } }} --bench {{ what }}

# The relay beside a bare insert loop; `just bench-relay kill` kills relays under a crowd.
bench-relay *args:
    cargo bench -p hullo-tests --bench relay -- {{ args }}

# One publisher, 20 viewers through the SFU; the machine's UDP floor beside it (docs/benchmarks.md).
bench-sfu:
    cargo bench -p hullo-tests --bench sfu

# The simulated worlds, many seeds: virtual clock, seeded network. HULLO_SEEDS says how many.
sim *args:
    HULLO_SEEDS="${HULLO_SEEDS:-10000}" cargo test --release -p hullo-tests --test scenarios {{ args }}

# Group calls through the SFU with real sessions on seeded networks: 300 worlds of two to four people, 20 of sixteen.
sim-sfu *args:
    HULLO_SFU_SEEDS="${HULLO_SFU_SEEDS:-300}" HULLO_SFU_CROWDS="${HULLO_SFU_CROWDS:-20}" cargo test --release -p hullo-tests --test scenarios -- sfu:: --nocapture {{ args }}

# Feed one parser random bytes for ten minutes (needs cargo-fuzz); the targets are in tests/fuzz. What is found stays out of the kept corpus.
fuzz target seconds="600" *args:
    mkdir -p tests/fuzz/target/corpus/{{ target }}
    cargo fuzz run -s none --fuzz-dir tests/fuzz {{ target }} tests/fuzz/target/corpus/{{ target }} tests/fuzz/corpus/{{ target }} -- -max_total_time={{ seconds }} {{ args }}

# Format, and mend what clippy can mend.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt
