//! `hullo serve` and the programs it starts.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A `turnserver` of this shell script, first in the `PATH` that is given back.
fn coturn(home: &Home, script: &str) -> OsString {
    let folder = home.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("turnserver");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut places = vec![folder];
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    std::env::join_paths(places).unwrap()
}

/// An address of this machine that no other test takes: TURN has one port.
fn address(of: u8) -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{high}.{low}.{of}")
}

fn serve(home: &Home, script: &str, at: &str) -> Hullo {
    let path = coturn(home, script);
    let listen = format!("{at}:0");
    let args = ["serve", "--listen", &listen, "--turn", "start", "--json"];
    Hullo::spawn_in(home, &args, &[("PATH", &path)])
}

fn says(event: &Value, words: &str) -> bool {
    event["event"] == "notice" && event["text"].as_str().unwrap().contains(words)
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_is_killed_takes_its_turn_server_along() {
    let home = Home::new();
    let number = home.path().join("number");
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000",
        number.display()
    );
    let mut server = serve(&home, &script, &address(1));
    server.wait_for("ready", PATIENCE);
    let end = Instant::now() + PATIENCE;
    let wait = |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(Instant::now() < end, "not in time");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait(&|| number.exists());
    let number = std::fs::read_to_string(&number).unwrap();
    let line = format!("/proc/{}/cmdline", number.trim());
    let runs = || std::fs::read(&line).is_ok_and(|line| line.starts_with(b"sleep"));
    wait(&runs);
    server.signal(rustix::process::Signal::KILL);
    wait(&|| !runs());
}

#[test]
fn a_turn_server_that_ends_is_told_with_its_last_words_and_started_again() {
    let home = Home::new();
    let flag = home.path().join("second").display().to_string();
    let script = format!(
        "[ -e {flag} ] && {{ echo '0: : Total General servers: 1'; exec sleep 1000; }}\n\
         touch {flag}; echo '0: : about to'; echo 'bind: no luck' >&2; exit 3"
    );
    let mut server = serve(&home, &script, &address(2));
    let told = server.wait_until(PATIENCE, |event| says(event, "coturn"));
    for words in [
        "exit status 3",
        "bind: no luck",
        "again in 1 s",
        "turn.conf",
    ] {
        assert!(says(&told, words), "{told}");
    }
    server.wait_until(PATIENCE, |event| says(event, "runs again"));
    server.signal(rustix::process::Signal::TERM);
    server.finish(PATIENCE).success();
}

#[test]
fn a_turn_server_whose_port_is_taken_is_not_started_beside_the_other() {
    let home = Home::new();
    let at = address(3);
    let _other = std::net::UdpSocket::bind(format!("{at}:3478")).unwrap();
    let done = serve(&home, "exec sleep 1000", &at).finish(PATIENCE);
    assert_eq!(done.code, 5, "{}", done.shown());
    assert!(
        done.says("3478") && done.says("--turn URL"),
        "{}",
        done.shown()
    );
}
