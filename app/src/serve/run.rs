//! `hullo serve` from its command line to its end.
#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{at, never, select};

use super::{
    CallOptions, LISTEN_DEFAULT, MediaPorts, ServeOptions, Server, StoreChoice, TurnChoice,
};
use crate::cli::{CallArguments, RelayArguments};
use crate::front::Front;
use crate::program::{Failure, OTHER};
use crate::report::Report;
use crate::run::{Wake, wakes};
use crate::terminal;

/// How long no call may answer for none to run.
const IDLE_LOOK: Duration = Duration::from_millis(300);

/// What a server says that cannot serve group calls.
const NO_CALLS: &str = "Group calls are off: they need an IPv4 address of this machine that others can reach. Name it \
                        with --announce.";

/// The command line.
pub struct Wanted {
    /// `ADDR:PORT`.
    pub listen: String,
    /// An IP address.
    pub announce: Option<String>,
    /// Of the relay.
    pub relay: RelayArguments,
    /// Of group calls.
    pub calls: CallArguments,
    /// After this it ends.
    pub seconds: Option<Duration>,
    /// It ends when its standard input does.
    pub until_input_ends: bool,
}

/// Serves until a signal comes or the time is over. Running calls then get time to end.
///
/// # Errors
/// Wrong use, or why there is no server.
pub fn run(wanted: Wanted, folder: PathBuf, front: &mut dyn Front) -> Result<u8, Failure> {
    let started = Instant::now();
    let (seconds, drain) = (wanted.seconds, wanted.calls.drain);
    let wanted_end = wanted.until_input_ends;
    let server = Server::start(&options(wanted, folder)?)?;
    let (wake, inbox) = wakes();
    terminal::spawn_signals(move |event| wake.send(Wake::Event(event)).is_ok()).map_err(
        |error| Failure {
            words: crate::people::sentence(&error.to_string()),
            status: OTHER,
        },
    )?;
    if wanted_end {
        terminal::end_with_input();
    }
    let media = server.media().map(MediaPorts::socket_addresses);
    let ready = Report::Ready {
        url: Some(server.url().to_string()),
        media: media.iter().flatten().map(SocketAddr::to_string).collect(),
    };
    front
        .report(0, &ready)
        .map_err(|_| Failure::other("Nobody reads the output."))?;
    let mut say = |text: String| {
        let at_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Who has read the URL may have read enough.
        drop(front.report(at_ms, &Report::Notice { text }));
    };
    match server.media() {
        Some(media) => {
            say(media.firewall_words(server.address().port()));
            say(media.limit_words());
        }
        None => say(NO_CALLS.to_owned()),
    }
    if let Some(words) = server.turn_words() {
        say(words.to_owned());
    }
    let over = seconds.map_or_else(never, |seconds| at(started + seconds));
    let mut news = server.news();
    loop {
        // Either the time is over or a signal came: both end it well.
        select! {
            recv(inbox) -> _ => break,
            recv(over) -> _ => break,
            recv(news) -> words => match words {
                Ok(words) => say(words),
                // Nobody is left to tell any.
                Err(_) => news = never(),
            },
        }
    }
    server.drain();
    if !server.drained(IDLE_LOOK) {
        say(format!(
            "Group calls run: they get {} s to end, and no new one begins. A second signal ends all at once.",
            drain.as_secs()
        ));
        server.drained(drain);
    }
    Ok(0)
}

fn options(wanted: Wanted, folder: PathBuf) -> Result<ServeOptions, Failure> {
    let listen = &wanted.listen;
    let no_address = |_| {
        Failure::usage(format!(
            "`{listen}` is no ADDR:PORT, as in {LISTEN_DEFAULT}."
        ))
    };
    let listen = listen.parse().map_err(no_address)?;
    let announce = wanted.announce.map(|ip| {
        ip.parse()
            .map_err(|_| Failure::usage(format!("`{ip}` is no IP address.")))
    });
    Ok(ServeOptions {
        listen,
        announce: announce.transpose()?,
        folder,
        store: StoreChoice::parse(wanted.relay.store.as_deref()),
        certificate: wanted.relay.cert.zip(wanted.relay.key),
        calls: CallOptions {
            udp: wanted.calls.udp,
            shards: wanted
                .calls
                .shards
                .and_then(|shards| NonZeroUsize::new(shards.into())),
            participants_max: wanted
                .calls
                .people_max
                .and_then(|people| NonZeroUsize::new(people.into())),
            allow: wanted.calls.allow,
            turn: TurnChoice::parse(&wanted.calls.turn, wanted.calls.turn_secret)
                .map_err(Failure::usage)?,
        },
    })
}
