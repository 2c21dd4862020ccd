//! A profile on a disk without room.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A small disk in memory at this folder; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`, with a word why, where nothing may be mounted.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=700", "none"]);
        let done = mount.arg(&at).output();
        if done.is_ok_and(|done| done.status.success()) {
            return Some(Self(at));
        }
        eprintln!("skipped: a disk can only be mounted as root");
        None
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        let mut room = std::io::repeat(7).take(1 << 30);
        let error = std::io::copy(&mut room, &mut file).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_read_all_the_same_and_named_where_something_is_to_be_kept() {
    let server = Server::start();
    let (alice, bob) = (Home::new(), Home::new());
    let Some(disk) = Disk::mount(alice.path().join("profile")) else {
        return;
    };
    make_contacts(&server, &alice, &bob);
    let mut answers = Hullo::spawn(&bob, &call_args(&["answer"]));
    answers.wait_for("server", PATIENCE);

    disk.fill();
    let contacts = alice.run(&["contacts", "--json"]).success();
    assert_eq!(contacts.event("contact")["name"], "bob");
    assert_eq!(
        alice.run(&["name", "--json"]).success().event("name")["name"],
        "alice"
    );
    alice.run(&["history"]).success();
    alice.run(&["group", "list"]).success();
    for args in [
        &["name", "carol"][..],
        &["send", "bob", "hello"],
        &["invite"],
    ] {
        let done = alice.run(args);
        assert!(
            done.code == 1 && done.says("the disk"),
            "{args:?}: {}",
            done.shown()
        );
    }
    let call = alice.run(&call_args(&["call", "bob"]));
    assert!(
        call.code == 1 && call.says("the disk") && !call.says("does not answer"),
        "{}",
        call.shown()
    );

    // What comes cannot be kept; that is not the server's fault, and is over when there is room again.
    let mut waiting = Hullo::spawn(&alice, &call_args(&["answer"]));
    bob.run(&["send", "alice", "are you there"]).success();
    let told = waiting.wait_until(PATIENCE, |event| {
        event["event"] == "server" && event["reason"].is_string()
    });
    assert!(
        told["up"] == true && told["reason"].as_str().unwrap().contains("disk"),
        "{told}"
    );
    std::fs::remove_file(disk.0.join("ballast")).unwrap();
    waiting.wait_for("message", PATIENCE);
}
