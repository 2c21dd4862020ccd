//! Who may import whom: the import table and what a manifest breaks of it.

use toml::Table;

/// One crate's row of the import table.
pub(super) struct Row {
    pub(super) folder: &'static str,
    package: &'static str,
    /// Crates of ours that it may import.
    ours: &'static [&'static str],
    /// Crates of others that it must not import.
    never: &'static [&'static str],
}

const DEVICES_AND_CODECS: &[&str] = &[
    "cpal",
    "env-libvpx-sys",
    "nokhwa",
    "openh264",
    "opus",
    "rubato",
    "sonora",
];
const SCREEN: &[&str] = &["crossterm", "ratatui"];
const RUNTIME: &[&str] = &[
    "axum",
    "hyper",
    "mio",
    "reqwest",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tokio-tungstenite",
];
const WEBRTC: &[&str] = &["str0m"];
const RATCHET: &[&str] = &["vodozemac"];

/// The import table of ARCHITECTURE.md. `tests` may import all and is bound by nothing but the packages' existence.
pub(super) const TABLE: &[Row] = &[
    Row {
        folder: "proto",
        package: "hullo-proto",
        ours: &[],
        never: &["str0m", "vodozemac", "getrandom"],
    },
    Row {
        folder: "media",
        package: "hullo-media",
        ours: &["hullo-proto"],
        never: &["vodozemac"],
    },
    Row {
        folder: "signalling",
        package: "hullo-signalling",
        ours: &["hullo-proto"],
        never: WEBRTC,
    },
    Row {
        folder: "signalling/relay",
        package: "hullo-relay",
        ours: &["hullo-proto"],
        never: WEBRTC,
    },
    Row {
        folder: "signalling/sfu",
        package: "hullo-sfu",
        ours: &["hullo-proto"],
        never: RATCHET,
    },
    Row {
        folder: "app",
        package: "hullo",
        ours: &[
            "hullo-media",
            "hullo-picture",
            "hullo-proto",
            "hullo-relay",
            "hullo-sfu",
            "hullo-signalling",
        ],
        never: WEBRTC,
    },
    Row {
        folder: "app/picture",
        package: "hullo-picture",
        ours: &[],
        // Its benchmark draws with ratatui, to be compared with.
        never: &["crossterm", "str0m", "vodozemac", "getrandom"],
    },
    Row {
        folder: "tests",
        package: "hullo-tests",
        ours: &[
            "hullo",
            "hullo-media",
            "hullo-picture",
            "hullo-proto",
            "hullo-relay",
            "hullo-sfu",
            "hullo-signalling",
        ],
        never: &[],
    },
];

fn never_of(row: &Row) -> Vec<&'static str> {
    let groups: &[&[&str]] = match row.folder {
        "proto" | "signalling" => &[DEVICES_AND_CODECS, SCREEN, RUNTIME],
        "media" => &[SCREEN, RUNTIME],
        "signalling/relay" | "signalling/sfu" => &[DEVICES_AND_CODECS, SCREEN],
        "app" => &[DEVICES_AND_CODECS],
        "app/picture" => &[DEVICES_AND_CODECS, RUNTIME],
        _ => &[],
    };
    groups
        .iter()
        .flat_map(|group| group.iter())
        .chain(row.never)
        .copied()
        .collect()
}

/// Real package names (not local aliases) in the sections of `manifest` whose name ends in `dependencies`.
fn imports(manifest: &Table, workspace: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (section, value) in manifest {
        let Some(table) = value.as_table() else {
            continue;
        };
        if section.ends_with("dependencies") {
            found.extend(
                table
                    .iter()
                    .map(|(alias, entry)| real_name(alias, entry, workspace)),
            );
        } else if section == "target" {
            let targets = table.values().filter_map(toml::Value::as_table);
            found.extend(targets.flat_map(|target| imports(target, workspace)));
        }
    }
    found
}

fn real_name(alias: &str, entry: &toml::Value, workspace: &Table) -> String {
    let shared = || {
        workspace
            .get("workspace")?
            .get("dependencies")?
            .get(alias)?
            .get("package")?
            .as_str()
    };
    let own = entry.get("package").and_then(toml::Value::as_str);
    own.or_else(shared).unwrap_or(alias).to_owned()
}

pub(super) fn import_faults(row: &Row, manifest: &Table, workspace: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for name in imports(manifest, workspace) {
        let of_ours = TABLE.iter().any(|other| other.package == name);
        if of_ours && !row.ours.contains(&name.as_str()) {
            faults.push(format!(
                "{} must not import {name}: see the map in ARCHITECTURE.md",
                row.folder
            ));
        }
        if never_of(row).contains(&name.as_str()) {
            faults.push(format!(
                "{} must not depend on {name}: see the map in ARCHITECTURE.md",
                row.folder
            ));
        }
    }
    let inherits = |member: &str| {
        manifest
            .get("package")
            .and_then(|p| p.get(member)?.get("workspace")?.as_bool())
    };
    for member in ["edition", "rust-version", "license"] {
        if inherits(member) != Some(true) {
            faults.push(format!(
                "{}/Cargo.toml: `{member}.workspace = true` is missing",
                row.folder
            ));
        }
    }
    if manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace")?.as_bool())
        != Some(true)
    {
        faults.push(format!(
            "{}/Cargo.toml: `[lints] workspace = true` is missing",
            row.folder
        ));
    }
    faults
}

mod checker_finds_faults {
    use super::super::check;
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().expect("the test's own TOML")
    }

    fn row(folder: &str) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.folder == folder)
            .expect("a folder of the table")
    }

    const PACKAGE: &str = "package = { edition.workspace = true, rust-version.workspace = true, license.workspace = true }\n\
                           lints.workspace = true\n";

    fn import_fault(folder: &str, dependencies: &str) -> Vec<String> {
        let workspace =
            table("[workspace.dependencies]\nnet = { package = \"tokio\", version = \"1\" }");
        import_faults(
            row(folder),
            &table(&format!("{PACKAGE}{dependencies}")),
            &workspace,
        )
    }

    #[test]
    fn in_manifests() {
        check(&import_fault(
            "signalling/sfu",
            "[dependencies]\nstr0m = \"1\"\nhullo-proto = \"1\"",
        ));
        let wrong = [
            ("signalling/sfu", "[dependencies]\nhullo-media = \"1\""),
            (
                "signalling/sfu",
                "[dev-dependencies]\nhullo-signalling = \"1\"",
            ),
            ("proto", "[dependencies]\ntokio = \"1\""),
            ("proto", "[dependencies]\nnet = { workspace = true }"),
            (
                "media",
                "[dependencies]\nruntime = { package = \"tokio\", version = \"1\" }",
            ),
            ("media", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\""),
            ("signalling", "[build-dependencies]\nstr0m = \"1\""),
            ("app", "[dependencies]\nstr0m = \"1\""),
            ("app/picture", "[dependencies]\ncrossterm = \"1\""),
            ("app/picture", "[dependencies]\nhullo-media = \"1\""),
        ];
        for (folder, dependencies) in wrong {
            assert_eq!(
                import_fault(folder, dependencies).len(),
                1,
                "{folder}: {dependencies}"
            );
        }
        assert_eq!(
            import_faults(row("proto"), &Table::new(), &Table::new()).len(),
            4,
            "nothing is inherited"
        );
    }
}
