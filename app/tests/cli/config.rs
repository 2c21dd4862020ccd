//! The configuration and the log, as people meet them.

use super::*;

#[test]
fn a_wrong_file_is_told_with_its_line_and_the_program_starts_all_the_same() {
    let home = Home::new();
    home.run(&["name", "alice"]).success();
    let path = home.run(&["config", "path"]).success();
    assert!(path.says("config.toml"), "{}", path.shown());
    home.file(
        "profile/config.toml",
        b"relay_only = true\n\n[keys]\nmute = \"hyper-m\"\n",
    );
    let check = home.run(&["config", "check"]);
    assert_eq!(check.code, 2, "{}", check.shown());
    for words in ["config.toml line 4", "hyper-m", "PgDn", "relay_only"] {
        assert!(check.says(words), "{words}: {}", check.shown());
    }
    let run = home.run(&["--json", "--seconds", "0.5"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let error = run.event("error")["text"].as_str().unwrap().to_owned();
    assert!(
        error.contains("line 4") && error.contains("by default"),
        "{error}"
    );
    let plain = home.run(&["--plain", "--seconds", "0.5"]);
    assert!(plain.says("line 4"), "{}", plain.shown());
}

#[cfg(unix)]
#[test]
fn a_pipe_instead_of_a_file_is_not_waited_for_and_hides_the_address() {
    let home = Home::new();
    home.run(&["name", "alice"]).success();
    let pipe = home.path().join("profile/config.toml");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    let check = home.run(&["config", "check"]);
    assert_eq!(check.code, 2, "{}", check.shown());
    assert!(check.says("no regular file"), "{}", check.shown());
    let run = home.run(&["--plain", "--seconds", "0.5"]);
    assert!(run.says("calls go over TURN only"), "{}", run.shown());
}

#[test]
fn what_counts_can_be_written_out_and_read_again() {
    let home = Home::new();
    home.run(&["name", "alice"]).success();
    home.file("profile/config.toml", b"[keys]\nmute = [\"m\", \"F2\"]\n");
    let check = home.run(&["config", "check"]).success();
    assert!(check.says("is right"), "{}", check.shown());
    let dump = home.run(&["config", "dump", "--json"]).success();
    let text = dump.event("config")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("mute = [\"m\", \"F2\"]"), "{text}");
    home.file("profile/config.toml", text.as_bytes());
    home.run(&["config", "check"]).success();
}

#[test]
fn a_run_is_logged_to_its_file_without_keys_and_addresses() {
    let server = Server::start();
    let home = Home::new();
    home.run(&["name", "alice", "--server", server.url()])
        .success();
    let file = home.file("own.log", b"");
    let file = file.trim_start_matches("file:");
    home.run(&["invite"]).success();
    home.run(&["--json", "--seconds", "1", "--log", file])
        .success();
    let log = std::fs::read_to_string(file).unwrap();
    assert!(log.contains("INFO"), "{log}");
    // `hullo:` alone is who speaks; with more behind it, a link.
    let is_link = |word: &str| word.starts_with("hullo:") && word != "hullo:";
    assert!(
        !log.contains("127.0.0.1") && !log.split_whitespace().any(is_link),
        "{log}"
    );
    let refused = home.run(&["--json", "--seconds", "1", "--log", "/no/such/folder/log"]);
    assert_eq!(refused.code, 2, "{}", refused.shown());
}

#[test]
fn the_doctor_looks_at_the_server_that_the_profile_remembers() {
    let server = Server::start();
    let home = Home::new();
    let found = |home: &Home| {
        let done = home.run(&["doctor", "--json"]);
        let is_server = |event: &&Value| event["section"] == "network" && event["what"] == "server";
        let found = done.events.iter().find(is_server).cloned();
        found.unwrap_or_else(|| panic!("{}", done.shown()))
    };
    assert_eq!(found(&home)["state"], "warn", "there is no profile");
    home.run(&["name", "alice", "--server", server.url()])
        .success();
    let well = found(&home);
    assert_eq!(well["state"], "ok", "{well}");
    drop(server);
    let down = found(&home);
    assert_eq!(down["state"], "fail", "{down}");
}

#[test]
fn a_profile_variable_that_is_empty_is_as_good_as_unset() {
    let home = Home::new();
    let data = home.path().join("data");
    let variables = [
        ("HULLO_HOME", "".as_ref()),
        ("XDG_DATA_HOME", data.as_os_str()),
    ];
    let named = Hullo::spawn_in(&home, &["name", "alice", "--json"], &variables);
    let named = named.finish(PATIENCE).success();
    assert_eq!(named.event("name")["name"], "alice");
    assert!(data.join("hullo/hullo.db").exists(), "{}", named.shown());
}
