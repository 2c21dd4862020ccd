use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;

use super::control::{ControlError, ControlServer, request};
use super::*;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_profile_has_one_owner_and_the_other_is_told_who() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/profile");
    let owner = Profile::open(&folder).unwrap();
    assert_eq!((mode(&folder), mode(&folder.join("lock"))), (0o700, 0o600));
    let error = Profile::open(&folder).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains(&std::process::id().to_string()) && words.contains("--profile"),
        "{words}"
    );
    drop(owner);
    Profile::open(&folder).unwrap();
}

#[test]
fn a_folder_that_cannot_be_one_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    let words = Profile::open(&file.join("profile"))
        .unwrap_err()
        .to_string();
    assert!(words.contains("file/profile"), "{words}");
}

#[test]
fn a_named_folder_wins() {
    assert_eq!(
        folder(Some("/some/where".into())).unwrap(),
        Path::new("/some/where")
    );
}

#[test]
fn the_owner_answers_requests_line_by_line() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("profile");
    assert!(matches!(
        request(&folder, &json!({}), PATIENCE),
        Err(ControlError::NotRunning)
    ));
    let profile = Profile::open(&folder).unwrap();
    assert!(matches!(
        request(&folder, &json!({}), PATIENCE),
        Err(ControlError::NotRunning)
    ));
    let server = ControlServer::start(&profile, |request, respond| {
        assert!(respond.send(&json!({"event": "echo", "command": request.command})));
        assert!(respond.send(&request.body));
    })
    .unwrap();
    assert_eq!(mode(&folder.join("control.sock")), 0o600);
    for _ in 0..3 {
        let body = json!({"command": "add", "link": "x".repeat(20_000)});
        let answers = request(&folder, &body, PATIENCE).unwrap();
        let lines: Vec<_> = answers.map(Result::unwrap).collect();
        assert_eq!(lines, [json!({"event": "echo", "command": "add"}), body]);
    }
    drop(server);
    assert!(matches!(
        request(&folder, &json!({}), PATIENCE),
        Err(ControlError::NotRunning)
    ));
}

#[test]
fn a_socket_left_by_a_killed_program_is_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let profile = Profile::open(parent.path()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(profile.folder().join("control.sock")).unwrap());
    assert!(matches!(
        request(parent.path(), &json!({}), PATIENCE),
        Err(ControlError::NotRunning)
    ));
    let _server =
        ControlServer::start(&profile, |_, respond| assert!(respond.send(&json!(1)))).unwrap();
    let answers = request(parent.path(), &json!({"command": "x"}), PATIENCE).unwrap();
    assert_eq!(answers.map(Result::unwrap).collect::<Vec<_>>(), [json!(1)]);
}

#[test]
fn connections_that_say_nothing_do_not_keep_commands_out() {
    let parent = tempfile::tempdir().unwrap();
    let profile = Profile::open(parent.path()).unwrap();
    let _server =
        ControlServer::start(&profile, |_, respond| assert!(respond.send(&json!(1)))).unwrap();
    let socket = profile.folder().join("control.sock");
    let idle: Vec<UnixStream> = (0..300)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let answers = request(parent.path(), &json!({"command": "x"}), PATIENCE).unwrap();
    assert_eq!(answers.map(Result::unwrap).collect::<Vec<_>>(), [json!(1)]);
    drop(idle);
}

#[test]
fn what_is_no_request_is_answered_in_words_and_long_lines_are_not_read() {
    let parent = tempfile::tempdir().unwrap();
    let profile = Profile::open(parent.path()).unwrap();
    let _server = ControlServer::start(&profile, |_, _| panic!("not a request")).unwrap();
    let socket = profile.folder().join("control.sock");
    for garbage in [
        &b"nonsense\n"[..],
        b"{}\n",
        b"{\"command\":1}\n",
        b"\xff\xfe\n",
        b"\n",
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(PATIENCE).unwrap();
        stream.write_all(garbage).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("one line of JSON"), "{answer}");
    }
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    // The listener reads 64 KiB and closes: the rest cannot be written, or goes nowhere.
    let _ = stream.write_all(&vec![b' '; 1 << 20]);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let long = json!({"command": "x".repeat(70_000)});
    assert!(matches!(
        request(parent.path(), &long, PATIENCE),
        Err(ControlError::TooLong)
    ));
}

#[test]
fn a_profile_that_others_can_read_is_warned_of_and_a_closed_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile::open(folder.path()).unwrap();
    std::fs::write(profile.store_path(), "keys").unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(profile.folder(), 0o755);
    mode(&profile.store_path(), 0o644);
    let words = profile.open_to_others().expect("a warning");
    assert!(words.contains("chmod 600"), "{words}");
    mode(&profile.store_path(), 0o600);
    assert_eq!(profile.open_to_others(), None);
    mode(&profile.store_path(), 0o644);
    mode(profile.folder(), 0o700);
    assert_eq!(profile.open_to_others(), None, "nobody gets to it");
}
