//! The history's part of the loop: what a call's thread tells is passed on to the profile's history.

#![allow(clippy::disallowed_methods, reason = "the shell reads the clock")]

use std::collections::BTreeMap;
use std::time::Instant;

use hullo_proto::call::{CallId, EndReason};
use hullo_signalling::channel::{self, ChannelCommand};
use hullo_signalling::history::CallProgress;

use crate::control::{self, Ask};
use crate::event::{CallEvent, CallState, Command, ContactId, Event};
use crate::profile::control::Responder;
use crate::report::Report;

/// Seconds of a running call between two signs of life in the history: a program that is killed loses no more of
/// the call's length. Less means more writing on the disk.
const ALIVE_EVERY: u32 = 10;
/// Calls followed at once: more than there can be.
const CALLS_MAX: usize = 16;

/// Follows the calls that run here.
#[derive(Default)]
pub struct Journal(BTreeMap<[u8; 16], u32>);

impl Journal {
    /// What the history must be told of this change of a call.
    pub fn note(
        &mut self,
        contact: ContactId,
        call_id: CallId,
        event: &CallEvent,
    ) -> Option<ChannelCommand> {
        let progress = match event {
            CallEvent::State(CallState::Connecting) => CallProgress::Accepted,
            CallEvent::State(CallState::Connected) if !self.0.contains_key(&call_id.0) => {
                if self.0.len() < CALLS_MAX {
                    self.0.insert(call_id.0, 0);
                }
                CallProgress::Connected
            }
            // They come every second.
            CallEvent::Stats(_) => {
                let seconds = self.0.get_mut(&call_id.0)?;
                *seconds += 1;
                if !seconds.is_multiple_of(ALIVE_EVERY) {
                    return None;
                }
                CallProgress::Alive
            }
            CallEvent::State(CallState::Ended { reason, words, .. }) => {
                self.0.remove(&call_id.0);
                CallProgress::Ended(end_reason(reason, words))
            }
            _ => return None,
        };
        Some(ChannelCommand::CallOutcome {
            contact: channel::ContactId(contact.0),
            call_id,
            progress,
        })
    }
}

impl super::Runner<'_> {
    /// What another process asks of conversations; the rest is not for here.
    pub(super) fn answer_of_history(&mut self, ask: Ask, responder: &Responder) {
        match ask {
            Ask::Send { name, text } => {
                let is_sent = |report: &Report| matches!(report, Report::Entry(entry) if entry.is_sent_text());
                let late = Report::Notice {
                    text: crate::text::KEPT.to_owned(),
                };
                let waiting = &mut self.notes.waiting;
                waiting.add_or(Instant::now(), responder.clone(), is_sent, Some(late));
                self.event(Event::Command(Command::Send(name, text)));
            }
            Ask::History {
                name,
                limit,
                marks_seen,
            } => match crate::small::entries(
                &self.net,
                self.group_calls.as_ref(),
                name.as_deref(),
                limit,
                marks_seen,
            ) {
                Ok(entries) => {
                    for entry in entries {
                        control::send(responder, &Report::Entry(Box::new(entry)));
                    }
                }
                Err(failure) => control::refuse(responder, &failure),
            },
            _ => {}
        }
    }
}

/// The reason behind the word of a report. Words for a program that was told to stop are those of hanging up.
fn end_reason(word: &str, words: &str) -> EndReason {
    match word {
        "far_hung_up" => EndReason::FarHungUp,
        "declined" => EndReason::Declined,
        "busy" => EndReason::Busy,
        "unanswered" => EndReason::Unanswered,
        "answered_elsewhere" => EndReason::AnsweredElsewhere,
        "cancelled" => EndReason::Cancelled,
        "lost" => EndReason::Lost,
        "failed_to_connect" => EndReason::FailedToConnect,
        "peer_incompatible" => EndReason::PeerIncompatible(words.to_owned()),
        _ => EndReason::HungUp,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Stats;

    fn progress(journal: &mut Journal, event: &CallEvent) -> Option<CallProgress> {
        match journal.note(ContactId(3), CallId([1; 16]), event) {
            Some(ChannelCommand::CallOutcome { progress, .. }) => Some(progress),
            _ => None,
        }
    }

    #[test]
    fn a_call_is_told_once_and_then_every_ten_seconds() {
        let mut journal = Journal::default();
        let connected = CallEvent::State(CallState::Connected);
        let stats = CallEvent::Stats(Box::<Stats>::default());
        assert_eq!(progress(&mut journal, &stats), None, "not connected yet");
        assert_eq!(
            progress(&mut journal, &connected),
            Some(CallProgress::Connected)
        );
        assert_eq!(
            progress(&mut journal, &connected),
            None,
            "repaired, not new"
        );
        let told = (0..25)
            .filter_map(|_| progress(&mut journal, &stats))
            .count();
        assert_eq!(told, 2);
    }

    #[test]
    fn every_reason_of_the_engine_comes_back_from_its_word() {
        for reason in [
            EndReason::HungUp,
            EndReason::FarHungUp,
            EndReason::Declined,
            EndReason::Busy,
            EndReason::Unanswered,
            EndReason::AnsweredElsewhere,
            EndReason::Cancelled,
            EndReason::Lost,
            EndReason::FailedToConnect,
        ] {
            let ended = CallEvent::State(CallState::Ended {
                reason: reason.as_str(),
                words: reason.to_string(),
                duration: Duration::ZERO,
            });
            assert_eq!(
                progress(&mut Journal::default(), &ended),
                Some(CallProgress::Ended(reason))
            );
        }
        assert_eq!(end_reason("seconds", ""), EndReason::HungUp);
    }
}
