//! Waiting for what the network thread tells, and asking the program that owns the profile.

use super::*;
use crate::event::Command;
use crate::program::REFUSED;

/// Waits for what `pick` picks; a failure of this very wish ends the wait, troubles with others are not its business. A
/// message that comes meanwhile stays in the store for the next program on the profile.
pub(super) fn until<T>(
    events: &Receiver<NetEvent>,
    wish: Wish,
    patience: Option<Duration>,
    mut pick: impl FnMut(ChannelEvent) -> Option<T>,
) -> Result<T, Failure> {
    let end = patience.map(|patience| Instant::now() + patience);
    let mut trouble = None;
    loop {
        let event = match end {
            Some(end) => events
                .recv_deadline(end)
                .map_err(|_| late(trouble.take()))?,
            None => events
                .recv()
                .map_err(|_| Failure::other("The network thread ended."))?,
        };
        match event {
            NetEvent::Channel(ChannelEvent::Failed { what, reason }) if what == wish => {
                return Err(reason.into());
            }
            NetEvent::Channel(event) => {
                if let ChannelEvent::ServerState { up, reason, .. } = &event {
                    trouble = reason.clone().filter(|_| !up);
                }
                if let Some(found) = pick(event) {
                    return Ok(found);
                }
            }
            NetEvent::Ready { .. }
            | NetEvent::History { .. }
            | NetEvent::Unseen(_)
            | NetEvent::Lobby(_)
            | NetEvent::Turn(_) => {}
        }
    }
}

/// It took too long: because of what the server last failed with, if it did.
fn late(trouble: Option<String>) -> Failure {
    Failure::network(match trouble {
        Some(reason) => people::sentence(&reason),
        None => {
            "The server did not answer in time. Is it running, and reachable from here?".to_owned()
        }
    })
}

/// Asks the program that owns the profile and shows its answers.
pub(super) fn ask(
    folder: &std::path::Path,
    request: &Value,
    front: &mut dyn Front,
) -> Result<(), Failure> {
    let nobody_reads = |_| Failure::other("Nobody reads the output.");
    let mut failed = None;
    for answer in control::request(folder, request, Some(answer_time(request)))? {
        let (answer, words) = crate::control::read(answer?);
        if answer["event"] == "error" {
            failed = Some(refused(request, &answer));
        } else {
            front
                .value(&answer, words.as_deref())
                .map_err(nobody_reads)?;
        }
    }
    failed.map_or(Ok(()), Err)
}

/// How long each line of the answer may take: the owner of a profile gives up what takes time after [`PATIENCE`], and does
/// everything else at once.
fn answer_time(request: &Value) -> Duration {
    const AT_ONCE: Duration = Duration::from_secs(5);
    let line = request["line"]
        .as_str()
        .filter(|_| request["command"] == "ctl");
    match line.map(crate::command::parse) {
        None
        | Some(Ok(
            Command::Invite
            | Command::Withdraw
            | Command::Add(_)
            | Command::Name(_)
            | Command::Person(..)
            | Command::Send(..),
        )) => PATIENCE + AT_ONCE,
        Some(_) => AT_ONCE,
    }
}

/// An error of the program that was asked, as if it were our own.
fn refused(request: &Value, answer: &Value) -> Failure {
    let words = answer["text"].as_str().or(answer["message"].as_str());
    let known = (answer["status"].as_u64()).and_then(|status| u8::try_from(status).ok());
    let usual = if request["command"] == "ctl" {
        USAGE
    } else {
        REFUSED
    };
    Failure {
        words: people::sentence(words.unwrap_or("it did not work")),
        status: known.unwrap_or(usual),
    }
}
