use super::*;

fn told(text: &str) -> (usize, String) {
    parse(text).expect_err(text)
}

#[test]
fn everything_can_be_set() {
    let config = parse(
        "relay_only = true\nstun = [\"stun:a.example\", \"stun:[2001:db8::1]:99\"]\n\n[[turn]]\n\
         url = \"turns:t.example?transport=tcp\"\nusername = \"me\"\npassword = \"s3cret\"\n",
    )
    .expect("good");
    assert!(config.relay_only);
    assert_eq!(config.stun[0].0.port, 3_478);
    assert_eq!(config.stun[1].0.host, "2001:db8::1");
    let turn = &config.turn[0];
    assert_eq!(
        (turn.url.address.port, turn.url.is_tls, turn.url.is_tcp),
        (5_349, true, true)
    );
    assert_eq!(turn.password.reveal(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_is_allowed() {
    for (text, line, words) in [
        ("relay_only = 1", 1, "boolean"),
        ("\nrelayonly = true", 2, "relay_only"),
        (
            "stun = [\n\"stun:ok.example\",\n\"turn:x:1\"]",
            1,
            "stun:HOST",
        ),
        (
            "[[turn]]\nurl = \"turn:\"\nusername = \"a\"\npassword = \"b\"",
            2,
            "turn:HOST",
        ),
        (
            "[[turn]]\nurl = \"turn:a:1\"\nusername = \"a\"",
            1,
            "password",
        ),
        (
            "[[turn]]\nurl = \"turn:a:70000\"\nusername = \"a\"\npassword = \"b\"",
            2,
            "turn:HOST",
        ),
        ("relay_only = true\n= 3", 2, ""),
    ] {
        let (at, reason) = told(text);
        assert!(reason.contains(words), "{text}: {reason}");
        assert!(at >= line, "{text}: line {at}, {reason}");
    }
    let many = format!("stun = [{}]", "\"stun:a\",".repeat(SERVERS_MAX + 1));
    assert!(told(&many).1.contains("8 are allowed"));
}

#[test]
fn a_slip_elsewhere_does_not_show_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    for (text, relay_only) in [
        (&b"relay_only = true # hide me\nstun = 5"[..], true),
        (b"relay_only = maybe", true),
        (b"relay_only = yes", true),
        (b"relay_only = \"yes\"", true),
        (b"relay_only = True", true),
        (b"stun = 5\n  \"relay_only\" = true", true),
        (b"\xef\xbb\xbfrelay_only = true\nstun = 5", true),
        (b"relay_only: true", true),
        (b"relayonly = true", true),
        (b"relay_onlyy = true", true),
        (b"relay only\n", true),
        (b"relayonly = false", false),
        (b"relay_only = true\n# caf\xe9", true),
        (
            b"\xff\xfer\0e\0l\0a\0y\0_\0o\0n\0l\0y\0=\0t\0r\0u\0e\0",
            true,
        ),
        (b"# relay_only = true\nstun = 5", false),
        (b"relay_only = false # not now\nstun = 5", false),
        (b"relay_only = false\n# caf\xe9", false),
        (b"relay_only_not = true", false),
    ] {
        std::fs::write(&file, text).unwrap();
        let (config, error) = read(&file);
        let text = String::from_utf8_lossy(text);
        assert_eq!(config.relay_only, relay_only, "{text}");
        let words = error.expect("wrong").to_string();
        assert!(words.contains("config.toml line"), "{words}");
        assert!(config.stun.is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_does_not_show_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let hides = |what: &str| {
        let (config, error) = read(&file);
        let words = error.expect(what).to_string();
        assert!(config.relay_only, "{what}");
        let is_told = words.contains("cannot be read") && words.contains("TURN only");
        assert!(is_told, "{what}: {words}");
    };
    std::fs::create_dir(&file).unwrap();
    hides("a folder");
    std::fs::remove_dir(&file).unwrap();
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    assert_eq!(path(folder.path()), file);
    hides("a link that leads nowhere");
    std::fs::remove_file(&file).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
    hides("a socket");
    drop(socket);
    std::fs::remove_file(&file).unwrap();
    let long = "#".repeat(FILE_BYTES_MAX as usize) + "\nrelay_only = true\n";
    std::fs::write(&file, long).unwrap();
    hides("longer than is read");
}

#[test]
fn no_file_sets_nothing_and_the_one_in_the_profile_wins() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("config.toml");
    assert_ne!(path(folder.path()), own);
    assert!(read(&own).1.is_none());
    std::fs::write(&own, "").unwrap();
    assert_eq!(path(folder.path()), own);
}

proptest::proptest! {
    #[test]
    fn any_text_never_panics(text in ".{0,200}") {
        let _ = parse(&text);
        let _ = TurnUrl::try_from(text.clone());
        let _ = StunUrl::try_from(text);
    }
}
