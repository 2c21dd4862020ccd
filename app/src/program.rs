//! From the command line to the right loop, and from its end to the exit status.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hullo_media::device::DeviceError;
use hullo_proto::service::relay::RefusedReason;
use hullo_signalling::channel::{ChannelCommand, ChannelError};
use hullo_signalling::code::CodeError;
use hullo_signalling::group::GroupError;
use hullo_signalling::server_url::ServerUrl;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::attach;
use crate::attention::alerts::Alerts;
use crate::attention::{Attention, AttentionSettings};
use crate::call::media::MediaSpecs;
use crate::call::servers::CallServers;
use crate::calls::Calls;
use crate::cli::{Cli, Options};
use crate::config::{Config, ConfigError, ScreenSettings};
use crate::event::{Event, Media};
use crate::front::{Front, Json, Plain};
use crate::model::{Mode, Model};
use crate::net::{Net, NetError};
use crate::people::People;
use crate::profile::control::{self, ControlError, ControlServer};
use crate::profile::group_calls::GroupCalls;
use crate::profile::settings::SettingsFile;
use crate::profile::{Profile, ProfileError};
use crate::report::Report;
use crate::run::{Runner, SIGNAL_PATIENCE, Senders, Wake, inbox, read_stdin};
use crate::screen::{PictureTerminal, Screen};
use crate::serve::{self, ServeError};
use crate::small::parse_server;
use crate::terminal;
use crate::view::look::is_full_screen_possible;

mod config;
mod demo;
mod dispatch;
mod setup;

/// Exit statuses of DESIGN §8.
pub const OTHER: u8 = 1;
/// Wrong use.
pub const USAGE: u8 = 2;
/// Refused, busy or unanswered.
pub const REFUSED: u8 = 4;
/// Network or server.
pub const NETWORK: u8 = 5;
/// Device.
pub const DEVICE: u8 = 6;

/// Why the program cannot do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A sentence that says what to do.
    pub words: String,
    /// The exit status.
    pub status: u8,
}

impl Failure {
    /// Wrong use.
    pub fn usage(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            status: USAGE,
        }
    }

    /// Network or server.
    pub fn network(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            status: NETWORK,
        }
    }

    /// Anything else.
    pub fn other(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            status: OTHER,
        }
    }

    fn of(error: &dyn std::fmt::Display, status: u8) -> Self {
        Self {
            words: crate::people::sentence(&error.to_string()),
            status,
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::of(&error, OTHER)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::of(&error, OTHER)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::of(&error, DEVICE)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::of(&error, NETWORK)
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Channel(error) => error.into(),
            other => Self::of(&other, OTHER),
        }
    }
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        let status = match &error {
            ChannelError::Link(_)
            | ChannelError::Group(GroupError::NameTaken(_))
            | ChannelError::Code(CodeError::Shape | CodeError::Number | CodeError::Word)
            | ChannelError::Code(CodeError::Server)
            | ChannelError::NameTaken { .. }
            | ChannelError::OwnLink
            | ChannelError::Name
            | ChannelError::TooLong
            | ChannelError::TextTooLong
            | ChannelError::TextEmpty => USAGE,
            ChannelError::Code(_)
            | ChannelError::CodeSilent
            | ChannelError::Refused(RefusedReason::NoCode)
            | ChannelError::Blocked { .. }
            | ChannelError::WordsForged { .. }
            | ChannelError::LinkUsed
            | ChannelError::LinkGone
            | ChannelError::AlreadyContact { .. }
            | ChannelError::Impostor { .. } => REFUSED,
            ChannelError::NoServer
            | ChannelError::Unreachable { .. }
            | ChannelError::Refused(_)
            | ChannelError::QueueLost { .. } => NETWORK,
            ChannelError::NoContact
            | ChannelError::Group(GroupError::NoGroup | GroupError::NoMember) => 3,
            ChannelError::Group(GroupError::NotIn | GroupError::Start)
            | ChannelError::CodeBusy
            | ChannelError::OutOfTouch
            | ChannelError::CopiedProfile => OTHER,
            ChannelError::Group(_) => REFUSED,
            ChannelError::OutboxFull
            | ChannelError::TooManyInvitations
            | ChannelError::Store(_) => OTHER,
        };
        Self::of(&error, status)
    }
}

/// How the program shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Screen,
    Plain,
    Json,
}

/// The whole program: reads the command line, does what it says, and gives the exit status.
pub fn main() -> u8 {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == serve::GUARD) {
        // Nobody types this: it is how `serve` starts coturn, and reads what is said here.
        let error = serve::guard(arguments);
        let words = format!("hullo: {error}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
        return OTHER;
    }
    run(<Cli as clap::Parser>::parse())
}

/// Does what the command line says; the exit status.
fn run(cli: Cli) -> u8 {
    let face = face(&cli.options);
    match dispatch::dispatch(cli, face) {
        Ok(status) => status,
        Err(failure) => {
            if face == Face::Json {
                // A reader that is gone needs no error.
                let _ = Json(std::io::stdout()).report(
                    0,
                    &Report::Error {
                        text: failure.words,
                    },
                );
            } else {
                let words = format!("hullo: {}", failure.words);
                let lines = match crossterm::terminal::size() {
                    // Whoever reads a pipe reads whole lines.
                    Ok((columns, _)) if std::io::stderr().is_terminal() => {
                        crate::doctor::wrapped(&words, usize::from(columns))
                    }
                    _ => vec![words],
                };
                let text = lines.join("\n") + "\n";
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            }
            failure.status
        }
    }
}

fn face(options: &Options) -> Face {
    if options.json {
        Face::Json
    } else if options.plain
        || !std::io::stdout().is_terminal()
        || !std::io::stdin().is_terminal()
        || !crate::foreground::is_foreground()
        || !is_full_screen_possible(variable)
    {
        Face::Plain
    } else {
        Face::Screen
    }
}

fn line_front(face: Face) -> Box<dyn Front> {
    match face {
        Face::Json => Box::new(Json(std::io::stdout())),
        Face::Plain | Face::Screen => Box::new(Plain(std::io::stdout())),
    }
}

/// What the environment says of the terminal, and what was chosen before that.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn specs(options: &Options) -> MediaSpecs {
    MediaSpecs {
        camera: options.camera.clone(),
        mic: options.mic.clone(),
        speaker: options.speaker.clone(),
        record_video: options.record_video.clone(),
        screen: options.screen.clone(),
        nobody_looks: false,
        ..MediaSpecs::default()
    }
}

/// A generator seeded by the system.
///
/// # Errors
/// The machine's.
pub fn random() -> Result<ChaCha20Rng, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::other(format!("The system gives no randomness: {error}.")))?;
    Ok(ChaCha20Rng::from_seed(seed))
}

/// Hears other processes and the system from here on. Others may be unheard: that is told, and no reason not to start.
fn listen(
    profile: &Profile,
    wake: &crossbeam_channel::Sender<Wake>,
) -> Result<Result<ControlServer, ControlError>, Failure> {
    let control_wake = wake.clone();
    let control = ControlServer::start(profile, move |request, responder| {
        let _ = control_wake.send(Wake::Control(request, responder));
    });
    let signal_wake = wake.clone();
    terminal::spawn_signals(move |event| {
        signal_wake
            .send_timeout(Wake::Event(event), SIGNAL_PATIENCE)
            .is_ok()
    })
    .map_err(|error| Failure::of(&error, OTHER))?;
    Ok(control)
}

/// The same for this face: sentences show no pictures; a recording or a program that reads figures wants those of the
/// source's size.
fn specs_looked_at(options: &Options, face: Face) -> MediaSpecs {
    MediaSpecs {
        nobody_looks: face == Face::Plain
            && options.record_video.is_none()
            && !options.counts_pictures,
        ..specs(options)
    }
}

fn main_loop(
    options: &Options,
    folder: PathBuf,
    mode: Mode,
    face: Face,
    seconds: Option<Duration>,
) -> Result<(u8, Option<crate::report::Summary>), Failure> {
    let started = Instant::now();
    let mut specs = specs_looked_at(options, face);
    let server = options.server.as_deref().map(parse_server).transpose()?;
    // Libraries write on error output while they look for devices.
    let quiet = hullo_media::quiet::redirect_stderr(None).ok();
    if mode != Mode::Screen {
        specs.check(wants_video(&mode))?;
    }
    let profile = match Profile::open(&folder) {
        // Nothing is to be changed that only the owner can.
        Err(ProfileError::Busy { .. }) if mode == Mode::Screen && server.is_none() => {
            let followed = follow(&folder, face, seconds, &mut *line_front(face));
            return followed.map(|status| (status, None));
        }
        opened => opened.map_err(|error| beside_running(error, &mode, &folder))?,
    };
    let open_to_others = profile.open_to_others();
    let (log, unlogged) = setup::begin_log(options, profile.folder())?;
    let (senders, inbox) = inbox();
    let net_wake = senders.wake.clone();
    let net = Net::start(&profile, move |event| {
        // The loop is gone only when the program is.
        let _ = net_wake.send(Wake::Net(event));
    })?;
    choose_server(&net, server, &mode)?;
    let control = listen(&profile, &senders.wake)?;
    let (config, broken) = crate::config::read(&crate::config::path(profile.folder()));
    setup::configure_sound(&mut specs, options, &config);
    let memory = SettingsFile::of_profile(profile.folder());
    let group_calls = GroupCalls::of_profile(profile.folder());
    let unread_calls = group_calls.as_ref().err().map(ToString::to_string);
    let drawing = config.screen.with(options.drawing);
    let mut model = begun(mode, options, &config, &drawing);
    model.layers.setup = setup::setup(options, &config, broken.is_some(), profile.folder(), &log);
    let (mut front, entered) = open_front(face, &senders, &mut model, options, &drawing)?;
    let settings = attention(&config.attention, face, model.mode == Mode::Screen);
    let is_drawn = face == Face::Screen;
    let (servers, troubles) = CallServers::of(&config);
    let calls = Calls::new(specs, is_drawn, servers, random()?, senders.wake);
    let mut runner = Runner {
        model,
        front: &mut *front,
        net,
        calls,
        memory,
        group_calls: group_calls.ok(),
        people: People::default(),
        wakes: inbox,
        started,
        ends_at: seconds.map(|seconds| started + seconds),
        journal: crate::run::Journal::default(),
        rng: random()?,
        attention: Attention::new(settings.clone()),
        alerts: alerts(&settings, options),
        may_attend: settings,
        log: log.lines.clone(),
        notes: crate::run::Notes::default(),
    };
    let others = [open_to_others, unread_calls, unlogged];
    let others = others.into_iter().flatten().chain(troubles);
    begin(&mut runner, &control, broken, others);
    let status = runner.run();
    let words = runner.model.last_words();
    let summary = runner.summary().cloned();
    // Threads that wait for room must end before they are waited for.
    runner.wakes.close();
    drop(runner);
    drop(front);
    drop(entered);
    drop(quiet);
    say_last(words.filter(|_| face == Face::Screen));
    Ok((status, summary))
}

fn begun(mode: Mode, options: &Options, config: &Config, drawing: &ScreenSettings) -> Model {
    let mut model = Model::new(mode, drawing.look(variable));
    model.has_screen = options.screen.is_some();
    model.is_demo = options.counts_pictures;
    model.is_relay_only = config.relay_only;
    model.keymap = config.keymap.clone();
    model.theme = config.theme;
    model.clock = crate::threads::wall_clock();
    model
}

fn alerts(settings: &AttentionSettings, options: &Options) -> Alerts {
    Alerts::new(settings, options.speaker.clone(), variable)
}

/// A program that runs on the profile can make the call: how.
fn beside_running(error: ProfileError, mode: &Mode, folder: &Path) -> Failure {
    let is_busy = matches!(error, ProfileError::Busy { .. });
    let failure = Failure::from(error);
    let command = match mode {
        Mode::CallOnce { name, .. } => format!("call {name}"),
        Mode::JoinOnce { name, .. } => format!("join {name}"),
        Mode::AnswerOnce { .. } => "accept".to_owned(),
        _ => return failure,
    };
    if !is_busy || !control::answers(folder) {
        return failure;
    }
    Failure {
        words: format!(
            "{} It is a running hullo: `hullo ctl {command}` lets that one do it.",
            failure.words
        ),
        ..failure
    }
}

/// Follows the program that owns the profile: line by line, as there is one screen.
fn follow(
    folder: &Path,
    face: Face,
    seconds: Option<Duration>,
    front: &mut dyn Front,
) -> Result<u8, Failure> {
    if face == Face::Screen {
        let text = crate::text::FOLLOWING.to_owned();
        front
            .report(0, &Report::Notice { text })
            .map_err(|_| Failure::other("Nobody reads the output."))?;
    }
    attach::run(folder, face != Face::Json, seconds, front)
}

/// How the last call ended, where the screen was.
fn say_last(words: Option<String>) {
    if let Some(words) = words {
        // Whoever does not read it needs no error.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{words}\n").as_bytes());
    }
}

/// Tells what was wrong at the start and did not keep the program from starting, and what was remembered.
fn begin(
    runner: &mut Runner<'_>,
    control: &Result<ControlServer, ControlError>,
    broken: Option<ConfigError>,
    others: impl Iterator<Item = String>,
) {
    let remembered = runner.memory.read();
    let troubles = [
        control.as_ref().err().map(ToString::to_string),
        broken.as_ref().map(ToString::to_string),
        remembered.as_ref().err().map(ToString::to_string),
    ];
    for trouble in troubles.into_iter().flatten().chain(others) {
        runner.event(Event::Failed(crate::people::sentence(&trouble)));
    }
    runner.event(Event::Settings(remembered.unwrap_or_default()));
}

/// Video calls are what this mode is for, or may become.
fn wants_video(mode: &Mode) -> bool {
    matches!(
        mode,
        Mode::CallOnce {
            media: Media::Video,
            ..
        } | Mode::AnswerOnce {
            media: Media::Video,
            ..
        } | Mode::JoinOnce {
            media: Media::Video,
            ..
        } | Mode::Screen
    )
}

/// A screen may use every means; lines on a pipe are read by programs, which have a hook.
fn attention(wanted: &AttentionSettings, face: Face, is_screen: bool) -> AttentionSettings {
    let is_seen = face == Face::Screen && is_screen;
    AttentionSettings {
        desktop: wanted.desktop && is_seen,
        ring: wanted.ring && is_seen,
        ..wanted.clone()
    }
}

/// Remembers the server that was named. Without any, waiting for a call is waiting for nobody.
fn choose_server(net: &Net, server: Option<ServerUrl>, mode: &Mode) -> Result<(), Failure> {
    if let Some(server) = server {
        return Ok(net.command(ChannelCommand::SetServer(server))?);
    }
    let waits = matches!(mode, Mode::AnswerOnce { .. });
    if waits && net.own()?.server.is_none() && net.contacts()?.is_empty() {
        return Err(ChannelError::NoServer.into());
    }
    Ok(())
}

fn open_front(
    face: Face,
    senders: &Senders,
    model: &mut Model,
    options: &Options,
    drawing: &ScreenSettings,
) -> Result<(Box<dyn Front>, Option<terminal::Entered>), Failure> {
    if face != Face::Screen {
        read_stdin(senders.typed.clone(), options.until_input_ends);
        return Ok((line_front(face), None));
    }
    let failed = |error: std::io::Error| {
        Failure::other(format!(
            "The terminal cannot be used for a full screen: {error}. Try --plain."
        ))
    };
    let entered = terminal::Entered::enter().map_err(failed)?;
    model.size = Some(crossterm::terminal::size().map_err(failed)?);
    let input = senders.typed.clone();
    terminal::spawn_input(move |arrival| input.send(arrival.into()).is_ok()).map_err(failed)?;
    let terminal = PictureTerminal::detect(variable).with(drawing);
    let wake = senders.wake.clone();
    // A full queue wakes the loop as well.
    let wake = move || drop(wake.try_send(Wake::Screen));
    let screen = Screen::on_stdout(terminal, wake).map_err(failed)?;
    Ok((Box::new(screen), Some(entered)))
}
