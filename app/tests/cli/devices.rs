//! Devices that another program holds, or that this user may not use: for real, with ALSA's OSS plugin on a terminal that is
//! taken for good, on a file nobody may open, and in namespaces of our own. Whoever is root tries it as nobody.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::kit::Done;
use super::*;

const NOBODY: &str = "65534";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `hullo` as somebody who is not root; `prepare` is shell, done before as root in mounts of its own. `None`, with a word
/// why, where that cannot be.
fn as_nobody(
    home: &Home,
    prepare: &str,
    variables: &[(&str, String)],
    args: &[&str],
) -> Option<Done> {
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let hullo = home.command(args);
    let mut command = if is_root() {
        let script = format!(
            "{prepare}\nexec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-ec", &script, "sh"]);
        command.arg(hullo.get_program()).args(hullo.get_args());
        for (name, value) in hullo.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    } else if prepare.is_empty() {
        hullo
    } else {
        eprintln!("skipped: mounting something needs root");
        return None;
    };
    command.env("HOME", home.path()).env_remove("PULSE_SERVER");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let done = Hullo::of(command).finish(PATIENCE);
    // The shell's: no namespaces, or a program that nobody may start.
    if [1, 126, 127].contains(&done.code) && done.lines.is_empty() && !done.says("hullo:") {
        eprintln!("skipped: {}", done.errors.trim());
        return None;
    }
    Some(done)
}

/// A configuration for ALSA in which sound is this file.
fn alsa(home: &Home, kind: &str, device: &Path) -> Option<(&'static str, String)> {
    let libraries = ["/usr/lib", "/usr/lib64", "/lib"];
    let plugin = format!("libasound_module_pcm_{kind}.so");
    let is_there = libraries.iter().any(|library| {
        let below = std::fs::read_dir(library).into_iter().flatten().flatten();
        let folders = below.map(|folder| folder.path()).chain([library.into()]);
        folders
            .into_iter()
            .any(|folder| folder.join("alsa-lib").join(&plugin).exists())
    });
    if !is_there {
        eprintln!("skipped: ALSA's plugin {kind} is not installed");
        return None;
    }
    let path = home.path().join("asound.conf");
    let device = match kind {
        "oss" => format!("device \"{}\"", device.display()),
        _ => String::new(),
    };
    let words = format!(
        "</usr/share/alsa/alsa.conf>\npcm.!default {{ type {kind} {device} }}\nctl.!default {{ type {kind} {device} }}\n"
    );
    std::fs::write(&path, words).unwrap();
    Some(("ALSA_CONFIG_PATH", path.display().to_string()))
}

/// Both the test of sound and the doctor say these words.
fn assert_told(home: &Home, prepare: &str, variables: &[(&str, String)], words: &[&str]) {
    for args in [
        &["test", "--plain", "--seconds", "2"][..],
        &["doctor", "--plain"],
    ] {
        let Some(done) = as_nobody(home, prepare, variables, args) else {
            return;
        };
        assert_eq!(done.code, 6, "{args:?} {}", done.shown());
        for word in words {
            assert!(done.says(word), "{word}: {args:?} {}", done.shown());
        }
    }
}

#[test]
fn a_device_that_another_program_holds_is_told_so() {
    let home = Home::new();
    let pair = portable_pty::native_pty_system()
        .openpty(portable_pty::PtySize::default())
        .unwrap();
    let name = pair.master.tty_name().unwrap();
    let taken = std::fs::File::open(&name).unwrap();
    let _ = std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o666));
    rustix::termios::ioctl_tiocexcl(&taken).unwrap();
    let Some(alsa) = alsa(&home, "oss", &name) else {
        return;
    };
    let words = ["used by another program", "close that program"];
    assert_told(&home, "", &[alsa], &words);
}

#[test]
fn a_device_that_this_user_may_not_use_is_told_so() {
    let home = Home::new();
    let denied = home.path().join("dsp");
    std::fs::write(&denied, "").unwrap();
    std::fs::set_permissions(&denied, std::fs::Permissions::from_mode(0o0)).unwrap();
    let Some(alsa) = alsa(&home, "oss", &denied) else {
        return;
    };
    assert_told(&home, "", &[alsa], &["no permission", "group \"audio\""]);
}

#[test]
fn cards_that_this_user_may_not_use_are_not_told_as_none() {
    let home = Home::new();
    let prepare = "mkdir -p /dev/snd; mount -t tmpfs none /dev/snd; touch /dev/snd/controlC0; chmod 660 /dev/snd/controlC0";
    assert_told(&home, prepare, &[], &["no permission", "group \"audio\""]);
}

#[test]
fn a_sound_server_of_another_user_is_told_so() {
    let home = Home::new();
    let socket = home.path().join("native");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o0)).unwrap();
    let Some(alsa) = alsa(&home, "pulse", Path::new("")) else {
        return;
    };
    let server = ("PULSE_SERVER", format!("unix:{}", socket.display()));
    let words = ["no permission", "another user"];
    assert_told(&home, "", &[alsa, server], &words);
}

#[test]
fn a_camera_that_this_user_may_not_use_is_told_so() {
    let home = Home::new();
    let at = home.path().join("dev").display().to_string();
    let prepare = format!(
        "mkdir {at}; mount -t tmpfs none {at}; cp -a /dev/null /dev/zero /dev/urandom /dev/random {at}; \
         mknod {at}/video0 c 81 0; chmod 660 {at}/video0; ln -s /proc/self/fd {at}/fd; mount --bind {at} /dev"
    );
    let Some(done) = as_nobody(&home, &prepare, &[], &["doctor", "--json"]) else {
        return;
    };
    let camera = done.events.iter().find(|event| event["what"] == "camera");
    let camera = camera.unwrap_or_else(|| panic!("{}", done.shown()));
    let remedy = camera["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("No permission") && remedy.contains("\"video\""),
        "{camera}"
    );
}
