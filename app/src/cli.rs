//! The command line of DESIGN §8, as far as this program goes. Stable: scripts rely on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use hullo_media::source::{CameraSpec, MicSpec, SpeakerSpec};

use crate::config::ScreenFlags;
use crate::demo::crowd::PEOPLE_MAX;
use crate::groups::GroupErrand;

/// Calls from the terminal, end-to-end encrypted.
#[derive(Debug, Parser)]
#[command(name = "hullo", version, about, long_about = None, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do; without a command the screen opens.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// What every command takes.
    #[command(flatten)]
    pub options: Options,
}

const EXIT_CODES: &str = "Exit status: 0 done; 2 wrong use; 3 no such contact; 4 refused, busy or unanswered; \
5 network or server; 6 device; 1 anything else.";

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Folder of the identity and the contacts.
    // A variable that is set to nothing is as good as unset, which the parser of paths does not know.
    #[arg(long, global = true, env = "HULLO_HOME", value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub profile: Option<PathBuf>,
    /// No full screen: one sentence per change. The default when stdout is no terminal.
    #[arg(long, global = true)]
    pub plain: bool,
    /// One JSON object per line on stdout.
    #[arg(long, global = true, conflicts_with = "plain")]
    pub json: bool,
    /// End after this many seconds.
    #[arg(long, global = true, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// End when standard input does: for a program that starts this one and may be killed.
    #[arg(long, global = true, hide = true)]
    pub until_input_ends: bool,
    /// `device[:NAME]`, `file:PATH` (Y4M), `test` or `none`.
    #[arg(long, global = true, value_name = "CAMERA")]
    pub camera: Option<CameraSpec>,
    /// `device[:NAME]`, `file:PATH` (WAV), `test` or `none`.
    #[arg(long, global = true, value_name = "MIC")]
    pub mic: Option<MicSpec>,
    /// `device[:NAME]`, `file:PATH.wav` or `none`.
    #[arg(long, global = true, value_name = "SPEAKER")]
    pub speaker: Option<SpeakerSpec>,
    /// Take what the speaker plays out of what the microphone hears; `on` also for a file or `test`.
    #[arg(long, global = true, value_name = "on|off", value_parser = on_off)]
    pub echo: Option<bool>,
    /// Take the noise of the room out; off for music. `on` also for a file or `test`.
    #[arg(long, global = true, value_name = "on|off", value_parser = on_off)]
    pub noise: Option<bool>,
    /// Make quiet voices louder; `on` also for a file or `test`.
    #[arg(long, global = true, value_name = "on|off", value_parser = on_off)]
    pub gain: Option<bool>,
    /// Show this as your screen in the call of a group: `file:PATH` (Y4M) or `test`.
    #[arg(long, global = true, value_name = "SCREEN", value_parser = screen)]
    pub screen: Option<CameraSpec>,
    /// Write what was decoded from the far side to this Y4M file; in the call of a group to one for each participant,
    /// `FILE-NUMBER.y4m`.
    #[arg(long, global = true, value_name = "FILE.y4m")]
    pub record_video: Option<PathBuf>,
    /// The server's URL with its pin, as `hullo serve` prints it. Remembered.
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// How the screen draws.
    #[command(flatten)]
    pub drawing: ScreenFlags,
    /// The demo's: pictures are counted even where they are not shown.
    #[arg(skip)]
    pub counts_pictures: bool,
    /// Write the log to this file instead of a daily one. How much: HULLO_LOG=error|warn|info|debug|trace|off.
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// One command.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// A server and a friend with a test card on this machine, and a call with you.
    Demo {
        /// Instead of the friend so many people in the call of a group, which you join.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(PEOPLE_MAX)))]
        people: Option<u16>,
    },
    /// Run a server: the relay that carries messages between contacts, and the unit that forwards group calls.
    Serve {
        /// Where to listen.
        #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:4433")]
        listen: String,
        /// The address others reach this machine by.
        #[arg(long, value_name = "IP")]
        announce: Option<String>,
        /// What it keeps, and its certificate.
        #[command(flatten)]
        relay: RelayArguments,
        /// Group calls.
        #[command(flatten)]
        calls: CallArguments,
    },
    /// Show or set what others see.
    Name {
        /// The new name.
        name: Option<String>,
    },
    /// Make a link that makes whoever redeems it a contact. Works once, for 7 days.
    Invite {
        /// Stay until it was redeemed, and also give a code to say aloud and a QR code.
        #[arg(long)]
        wait: bool,
        /// Instead list the links that are out and were not used.
        #[arg(long, conflicts_with = "wait")]
        list: bool,
        /// Instead let none of them work any more, nor a code.
        #[arg(long, conflicts_with_all = ["wait", "list"])]
        withdraw: bool,
    },
    /// Redeem a contact link or a spoken code like 7314-orbit-velvet; `-` reads it from stdin, so that it never stands
    /// in the process list.
    Add {
        /// The link, or the code (blanks between its parts are well).
        #[arg(required = true, num_args = 1..=3, value_name = "LINK|CODE")]
        link: Vec<String>,
    },
    /// List the contacts, or change something about one.
    Contacts {
        /// What to change.
        #[command(flatten)]
        change: ContactChange,
    },
    /// Write identity and contacts to a file under a passphrase, which is read from stdin or the terminal. Messages
    /// and their keys are not in it.
    Backup {
        /// The file; must not exist.
        file: PathBuf,
    },
    /// Make a profile of a backup. The original must never run again beside it.
    Restore {
        /// The file that `hullo backup` wrote.
        #[arg(required_unless_present = "moved")]
        file: Option<PathBuf>,
        /// No file: this profile's folder was moved or copied here by hand, and the original is gone for good.
        #[arg(long, conflicts_with = "file")]
        moved: bool,
    },
    /// What was written and who called, of one contact or of all. Without --json it counts as seen then.
    History {
        /// Only of this contact.
        name: Option<String>,
        /// At most so many entries, the newest.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
    },
    /// Send a text message to a contact; `-` reads it from stdin.
    Send {
        /// The contact's name.
        name: String,
        /// The words.
        text: String,
    },
    /// Groups: who is in, who comes in, who goes.
    Group {
        /// What about them.
        #[command(subcommand)]
        action: GroupAction,
    },
    /// Call a contact.
    Call {
        /// The contact's name.
        name: String,
        /// With the camera on.
        #[arg(long)]
        video: bool,
    },
    /// Create or join the call of a group.
    Join {
        /// The group's name.
        group: String,
        /// With the camera on.
        #[arg(long)]
        video: bool,
    },
    /// Wait for one call and take it.
    Answer {
        /// Only from this contact.
        name: Option<String>,
        /// With the camera on.
        #[arg(long)]
        video: bool,
    },
    /// Your own camera through the whole picture path, no network.
    Mirror,
    /// Hear your own voice back through the whole path of sound, with numbers: level, delay, loss, echo, CPU.
    Test,
    /// What works here and what does not, and what to do about it: terminal, devices, network.
    Doctor,
    /// The configuration: is it right, where is it, what counts.
    Config {
        /// What about it.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Tell a running hullo what to do.
    Ctl {
        /// A word and what follows it: `mute`, `unmute`, `toggle`, `ptt on|off`, `deafen`, `video on|off|toggle`, `hold`, `swap`,
        /// `hangup`, `accept`, `answer hold|end`, `reject`, `ignore`, `call NAME`, `join GROUP`, `screen on|off|toggle`,
        /// `focus NAME|speaker|off`, `volume NAME PERCENT`, `silence NAME`, `who`, `figures`, `status`, `dnd on|off|toggle`,
        /// `send NAME TEXT`, `seen NAME`, `set SETTING VALUE`, …; `hullo ctl help` tells them all, a line each.
        #[arg(required = true, num_args = 1..)]
        command: Vec<String>,
    },
    /// Write a script that completes these commands in a shell: `hullo completions bash`.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page: `hullo man | man -l -`.
    Man,
}

/// What about the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigAction {
    /// Say what is wrong with the file: line, and what is allowed there.
    Check,
    /// Say where the file is, or would be.
    Path,
    /// Write all settings as they count now, in the form of the file.
    Dump,
}

/// What about groups.
#[derive(Clone, Debug, Subcommand)]
pub enum GroupAction {
    /// Make a group; who makes it adds and removes.
    New {
        /// What it is called.
        name: String,
    },
    /// Add a contact: in as soon as that program answers.
    Add {
        /// The group's name.
        group: String,
        /// The contact's name.
        contact: String,
    },
    /// Take somebody out: nothing reaches that person any more, and the next call has a new key.
    Remove {
        /// The group's name.
        group: String,
        /// The member's name, or its 8 characters.
        member: String,
    },
    /// Leave a group. When who made it leaves, it ends for all.
    Leave {
        /// The group's name.
        group: String,
    },
    /// List the groups with their members, and who vouches for each.
    List,
}

impl From<GroupAction> for GroupErrand {
    fn from(action: GroupAction) -> Self {
        match action {
            GroupAction::New { name } => Self::New { name },
            GroupAction::Add { group, contact } => Self::Add { group, contact },
            GroupAction::Remove { group, member } => Self::Remove { group, member },
            GroupAction::Leave { group } => Self::Leave { group },
            GroupAction::List => Self::List,
        }
    }
}

/// What `hullo contacts` changes; one thing at a time.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct ContactChange {
    /// Forget this one, so that it can be made again by a new link.
    #[arg(long, value_name = "NAME")]
    pub remove: Option<String>,
    /// Call a contact something else; it is not told.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub rename: Option<Vec<String>>,
    /// Drop what this contact sends; it is not told.
    #[arg(long, value_name = "NAME")]
    pub block: Option<String>,
    /// Take what this contact sends again.
    #[arg(long, value_name = "NAME")]
    pub unblock: Option<String>,
    /// Compare words with this contact: once they are the same it is verified.
    #[arg(long, value_name = "NAME")]
    pub words: Option<String>,
}

/// What `hullo serve` keeps, and who it says it is.
#[derive(Clone, Debug, Default, Args)]
pub struct RelayArguments {
    /// Where messages wait for their readers: a file, `postgres://USER@HOST/DATABASE` (several servers may share one),
    /// or `memory`. Usually the file `relay.db` in the profile's `server` folder.
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "HULLO_STORE",
        hide_env_values = true
    )]
    pub store: Option<String>,
    /// The certificate (PEM, with its chain) to show instead of one of its own.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

/// How `hullo serve` serves group calls.
#[derive(Clone, Debug, Args)]
pub struct CallArguments {
    /// Where media of group calls comes in (UDP). Usually the address and port of --listen.
    #[arg(long, value_name = "ADDR:PORT")]
    pub udp: Option<SocketAddr>,
    /// Threads that forward media, each with a UDP port of its own after the first. Usually one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: Option<u16>,
    /// People in one group call at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    pub people_max: Option<u16>,
    /// Only people whose keys stand in this file get into group calls; a key in each line, as `hullo name --json`
    /// shows it.
    #[arg(long, value_name = "FILE")]
    pub allow: Option<PathBuf>,
    /// A TURN server whose credentials are handed out to the server's people (`turn:HOST:PORT`, `turns:…`; may be given
    /// several times), or `start` to run coturn on this machine.
    #[arg(long, value_name = "URL|start")]
    pub turn: Vec<String>,
    /// The file with the secret of those servers (coturn's static-auth-secret).
    #[arg(long, value_name = "FILE")]
    pub turn_secret: Option<PathBuf>,
    /// How long running group calls get to end when the server is told to stop; no new one begins then.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub drain: Duration,
}

fn screen(text: &str) -> Result<CameraSpec, String> {
    match text.parse() {
        Ok(spec @ (CameraSpec::File(_) | CameraSpec::Test)) => Ok(spec),
        _ => Err(format!("{text:?} is none of file:PATH, test")),
    }
}

fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text:?} is neither on nor off")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is no number of seconds"))?;
    if !(seconds > 0.0 && seconds <= SECONDS_MAX) {
        return Err("give a number of seconds between 0 and a year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A year: more is a typing error.
const SECONDS_MAX: f64 = 31_536_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_follow_the_command() {
        let cli = Cli::try_parse_from([
            "hullo",
            "call",
            "bob",
            "--video",
            "--json",
            "--camera",
            "test",
            "--seconds",
            "2.5",
        ])
        .expect("valid");
        assert!(matches!(cli.action, Some(Action::Call { video: true, .. })));
        assert!(cli.options.json);
        assert_eq!(cli.options.seconds, Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [
            &["hullo", "--seconds", "-1"][..],
            &["hullo", "--seconds", "NaN"],
            &["hullo", "--camera", "nonsense"],
            &["hullo", "--screen", "device"],
            &["hullo", "--echo", "yes"],
            &["hullo", "join"],
            &["hullo", "--json", "--plain"],
            &["hullo", "--color", "mauve"],
            &["hullo", "--glyphs", "sextant"],
            &["hullo", "--budget-kb-s", "5"],
            &["hullo", "--pixels", "yes"],
            &["hullo", "restore"],
            &["hullo", "contacts", "--block", "bob", "--unblock", "bob"],
            &["hullo", "contacts", "--rename", "bob"],
        ] {
            assert!(Cli::try_parse_from(args).is_err(), "{args:?}");
        }
    }
}
