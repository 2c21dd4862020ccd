//! A second connection to the call one is in: the stack has no ICE restart, so a call recovers on a fresh connection
//! beside the old one, with the participant id of a second Join. Ours; the text knows nothing of it.

use std::time::Instant;

use super::{Connect, DtlsFingerprint, EnterError, Event, Lobby, Output, Purpose, Token};
use crate::group::directory::DirectoryError;
use crate::group::join::{self, JoinError, JoinSteps};

/// The one second connection that is asked for.
pub(super) struct Again {
    fingerprint: DtlsFingerprint,
    /// None while a token is waited for.
    steps: Option<JoinSteps>,
}

impl Again {
    pub(super) fn next_timeout(&mut self) -> Option<Instant> {
        match self.steps.as_mut()?.poll_output() {
            join::Output::Timeout(at) => at,
            _ => None,
        }
    }
}

impl Lobby {
    /// Nothing happens outside of a call. A newer wish replaces the one before.
    pub(super) fn join_again(&mut self, now: Instant, fingerprint: DtlsFingerprint) {
        self.drop_again();
        if self.participating.is_none() {
            return;
        }
        self.again = Some(Again {
            fingerprint,
            steps: None,
        });
        if self.token.valid(now).is_some() {
            self.token_arrived_again(now, None);
        } else {
            self.renew_token(now);
        }
    }

    pub(super) fn token_arrived_again(&mut self, now: Instant, error: Option<DirectoryError>) {
        let (Some(again), Some(own)) = (&mut self.again, &self.participating) else {
            return;
        };
        if again.steps.is_some() {
            return;
        }
        let reason = match (error, self.token.valid(now)) {
            (None, Some(sfu)) => {
                let steps = JoinSteps::new(now, &own.running, false, again.fingerprint, sfu);
                again.steps = Some(steps);
                return self.drain_again();
            }
            (error, _) => error.unwrap_or(DirectoryError::Unreachable),
        };
        self.fail_again(reason.into());
    }

    pub(super) fn drive_again(&mut self, now: Instant, input: join::Input) {
        if let Some(steps) = self.again.as_mut().and_then(|again| again.steps.as_mut()) {
            steps.handle_input(now, input);
            self.drain_again();
        }
    }

    fn drain_again(&mut self) {
        loop {
            let Some(steps) = self.again.as_mut().and_then(|again| again.steps.as_mut()) else {
                return;
            };
            match steps.poll_output() {
                join::Output::Timeout(_) | join::Output::Established => return,
                join::Output::Request(request) => self.request(Purpose::JoinAgain, request),
                join::Output::Connect(response) => {
                    self.again = None;
                    let Some(own) = &self.participating else {
                        return;
                    };
                    let connect = Connect {
                        group: own.group,
                        call_id: own.call.call_id,
                        start: own.running.start.clone(),
                        response: *response,
                    };
                    self.outputs
                        .push_back(Output::ConnectBeside(Box::new(connect)));
                }
                join::Output::Failed(error) => {
                    if error == JoinError::Unauthorised {
                        // The next try begins with a fresh one.
                        self.token = Token::None;
                    }
                    self.fail_again(error.into());
                }
            }
        }
    }

    fn fail_again(&mut self, reason: EnterError) {
        self.drop_again();
        if let Some(own) = &self.participating {
            let event = Event::NotAgain(own.group, reason);
            self.outputs.push_back(Output::Event(event));
        }
    }

    /// Forgets the wish and its request.
    pub(super) fn drop_again(&mut self) {
        self.again = None;
        self.requests
            .retain(|_, purpose| *purpose != Purpose::JoinAgain);
    }
}
