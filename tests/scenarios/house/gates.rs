//! What the settings and gates of the project must say.

use toml::Table;

/// Paths that exist on one machine only. Put together here so that this file does not name them itself.
pub(super) fn machine_path_faults(path: &str, text: &str) -> Vec<String> {
    let folders = [
        concat!("/", "work/"),
        concat!("/", "farm/"),
        concat!("/", "root/"),
        concat!("/", "tmp/"),
    ];
    let absolute =
        |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || "._-~}>*".contains(c));
    let hits = folders
        .iter()
        .flat_map(|folder| text.match_indices(folder))
        .filter(|&(at, _)| absolute(&text[..at]));
    hits.map(|(at, folder)| {
        let line = text[..at].lines().count().max(1);
        format!("{path}:{line}: {folder} is a path of one machine: temporary folders come from the tempfile crate")
    })
    .collect()
}

/// What the server's lint file lacks of the root's, and bans whose type no longer exists in `proto`.
pub(super) fn server_lint_faults(
    path: &str,
    root: &Table,
    server: &Table,
    proto_has: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let differs = root
        .iter()
        .filter(|(key, value)| server.get(*key) != Some(value));
    let mut faults: Vec<String> = differs
        .map(|(key, _)| format!("{path}: `{key}` differs from the root's clippy.toml"))
        .collect();
    let bans = server
        .get("disallowed-types")
        .and_then(toml::Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if bans.is_empty() {
        faults.push(format!("{path}: bans no key or frame type"));
    }
    for ban in bans.iter().filter_map(|ban| ban.get("path")?.as_str()) {
        let parts: Vec<&str> = ban.split("::").collect();
        let known =
            matches!(parts[..], ["hullo_proto", module, .., name] if proto_has(module, name));
        if !known {
            faults.push(format!(
                "{path}: {ban} does not exist any more: the ban bans nothing"
            ));
        }
    }
    faults
}

/// The README promises a command for tests; the gates must run that one.
pub(super) fn gate_faults(readme: &str, gates: &str) -> Vec<String> {
    let commands = [
        "scripts/setup && cargo run --release -- demo",
        "scripts/setup && cargo test --workspace",
    ];
    let mut faults: Vec<String> = commands
        .iter()
        .filter(|command| !readme.contains(**command))
        .map(|command| format!("README.md lacks `{command}`"))
        .collect();
    if !gates.contains(commands[1]) {
        faults.push(format!(".ci/run does not run `{}`", commands[1]));
    }
    faults
}

mod checker_finds_faults {
    use super::super::check;
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().expect("the test's own TOML")
    }

    #[test]
    fn in_machine_paths() {
        let path = concat!("open(\"", "/", "tmp/x\")");
        assert_eq!(
            machine_path_faults("a.rs", &format!("first\n{path}")).len(),
            1
        );
        check(&machine_path_faults(
            "a.md",
            concat!("target", "/", "tmp/x and $DIR", "/", "work/y"),
        ));
    }

    #[test]
    fn in_lint_files_of_servers() {
        let root = table("too-many-lines-threshold = 70");
        let ban = "disallowed-types = [{ path = \"hullo_proto::frame::Sealer\" }]";
        let faults = |server: &str, known: bool| {
            server_lint_faults("x", &root, &table(server), |_, _| known).len()
        };
        assert_eq!(
            faults(&format!("too-many-lines-threshold = 70\n{ban}"), true),
            0
        );
        assert_eq!(faults(ban, true), 1, "lacks the root's threshold");
        assert_eq!(
            faults("too-many-lines-threshold = 70", true),
            1,
            "bans nothing"
        );
        assert_eq!(
            faults(&format!("too-many-lines-threshold = 70\n{ban}"), false),
            1,
            "bans a type that is gone"
        );
    }

    #[test]
    fn in_gates() {
        assert_eq!(gate_faults("", "").len(), 3);
        let readme =
            "scripts/setup && cargo run --release -- demo\nscripts/setup && cargo test --workspace";
        assert_eq!(gate_faults(readme, "cargo test").len(), 1);
        check(&gate_faults(
            readme,
            "scripts/setup && cargo test --workspace",
        ));
    }
}
