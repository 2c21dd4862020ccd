//! The rules of the house that no compiler holds: who may import whom, where `unsafe` and `str0m` may be named, how
//! long a file may grow, and that the gates run what the README promises.
//!
//! Every rule is a function from text to faults, tried on small bad inputs beside it and on the real files here.

mod gates;
mod imports;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use gates::{gate_faults, machine_path_faults, server_lint_faults};
use imports::{Row, TABLE, import_faults};
use sources::{source_faults, words};

/// Folders below the root deeper than this are no sources of ours; also ends the walk in a circle of links.
const FOLDER_DEPTH_MAX: usize = 8;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is a folder of the workspace")
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_table(path: &str) -> Table {
    read(path)
        .parse()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file of ours as (path from the root, text).
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root(), "", 0, &mut found);
    found
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<(String, String)>) {
    assert!(depth < FOLDER_DEPTH_MAX, "{prefix}: folders nest too deep");
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(|entry| entry.expect("the folder was just opened")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("the entry was just read");
        if kind.is_dir() && (name == ".ci" || !name.starts_with('.')) && name != "target" {
            collect(&entry.path(), &format!("{path}/"), depth + 1, found);
        } else if kind.is_file() && is_ours(&path) {
            found.push((
                path,
                fs::read_to_string(entry.path()).expect("our sources are UTF-8"),
            ));
        }
    }
}

fn is_ours(path: &str) -> bool {
    let ending = Path::new(path)
        .extension()
        .and_then(|ending| ending.to_str());
    matches!(ending, Some("rs" | "md" | "toml" | "proto"))
        || path == "justfile"
        || path.starts_with("scripts/")
        || path == ".ci/run"
}

fn check(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn crates_import_what_the_map_allows() {
    let workspace = read_table("Cargo.toml");
    let members = workspace["workspace"]["members"]
        .as_array()
        .expect("members is a list");
    for member in members.iter().filter_map(toml::Value::as_str) {
        assert!(
            TABLE.iter().any(|row| row.folder == member),
            "{member} has no row in the import table"
        );
    }
    let faults = |row: &Row| {
        import_faults(
            row,
            &read_table(&format!("{}/Cargo.toml", row.folder)),
            &workspace,
        )
    };
    check(&TABLE.iter().flat_map(faults).collect::<Vec<_>>());
}

#[test]
fn sources_keep_the_rules_of_the_house() {
    let sources: Vec<_> = files()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .collect();
    assert!(
        sources
            .iter()
            .any(|(path, _)| path == "tests/scenarios/house.rs"),
        "the walk found no sources"
    );
    check(
        &sources
            .iter()
            .flat_map(|(path, source)| source_faults(path, source))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    check(
        &files()
            .iter()
            .flat_map(|(path, text)| machine_path_faults(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn servers_are_refused_every_key_and_frame_type() {
    let sources = files();
    let proto_has = |module: &str, name: &str| {
        let of_module: Vec<_> = sources
            .iter()
            .filter(|(path, _)| path.starts_with(&format!("proto/src/{module}")))
            .collect();
        // A module that is not written yet has nothing to ban.
        of_module.is_empty()
            || of_module
                .iter()
                .any(|(_, source)| words(source).any(|word| word == name))
    };
    let root = read_table("clippy.toml");
    for path in ["signalling/relay/clippy.toml", "signalling/sfu/clippy.toml"] {
        check(&server_lint_faults(
            path,
            &root,
            &read_table(path),
            proto_has,
        ));
    }
}

#[test]
fn every_bad_case_of_the_table_has_its_tests() {
    let sources: String = files()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(_, source)| source)
        .collect();
    let table = read("docs/bad-cases.md");
    let cases: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(cases.len() >= 15, "the table was not found");
    let mut faults = Vec::new();
    for case in cases {
        let tests = case
            .trim_end_matches(['|', ' '])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            faults.push(format!("no test: {case}"));
        }
        let missing = |name: &&str| !sources.contains(&format!("fn {name}()"));
        faults.extend(
            names
                .into_iter()
                .filter(missing)
                .map(|name| format!("{name}: no such test")),
        );
    }
    check(&faults);
}

#[test]
fn the_gates_run_the_command_of_the_readme() {
    check(&gate_faults(&read("README.md"), &read(".ci/run")));
    for toolchain in ["rust-toolchain", "rust-toolchain.toml"] {
        assert!(
            !root().join(toolchain).exists(),
            "{toolchain}: `rust-version` alone says which Rust is needed"
        );
    }
}
