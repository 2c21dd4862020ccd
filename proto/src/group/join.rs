//! The *Group Call Join Steps*, run once (protocol text, *Create or Join*); also for creating a call.
//!
//! ```text
//! AwaitJoin ─ 200 ─→ AwaitHello ─ SFU's hello ─→ (a new call: AwaitStart, until 2 s after step 1) ─→ established
//! ```
//!
//! Step 1 is [`JoinSteps::new`]; cancelling is dropping the machine. Step 6 (the microphone) is with
//! the SFU's hello in the group call itself; 7.4, 7.5 and 8 are in the lobby.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::http::{HttpRequest, HttpResult, SfuInformation, SfuUrl, SfuUrlError, sfu_request};
use super::refresh::RunningCall;
use super::wire::{JoinRequest, JoinResponse};

/// How long the join request may take.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the connection and the SFU's hello may take. The text has no limit; this is Android's.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(20);

/// From deciding to create a call until others hear of it, against fingers that slip.
pub const CREATE_DELAY: Duration = Duration::from_secs(2);

/// A call was not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Nothing answered within 10 s, or at all.
    #[error("the call's server cannot be reached; check the network and try again")]
    Unreachable,
    /// Status 503.
    #[error("the call is full")]
    Full,
    /// Status 401.
    #[error("the call's server did not accept our token; try again")]
    Unauthorised,
    /// Status 419, or a version we do not speak.
    #[error("the call needs a newer program")]
    UnsupportedVersion,
    /// Any other status, or a response that is none.
    #[error("the call's server answered something unexpected (status {0})")]
    Unexpected(u16),
    /// The address is none we may use.
    #[error(transparent)]
    Address(#[from] SfuUrlError),
    /// The connection failed, or the SFU's hello did not come within 20 s.
    #[error("no connection to the call's server; a firewall may block UDP")]
    NoConnection,
}

/// One change.
pub enum Input {
    /// What came of the join request.
    Joined(HttpResult),
    /// The SFU's hello arrived on the data channel.
    HelloReceived,
    /// The connection cannot be made, or broke before the hello.
    ConnectionFailed,
    /// The deadline passed.
    Timeout,
}

/// What is to be done.
pub enum Output {
    /// 2. Run this join request.
    Request(HttpRequest),
    /// 5. Connect with this.
    Connect(Box<JoinResponse>),
    /// 7. and 8. The call is established; a new one is to be announced now.
    Established,
    /// The end, without a call.
    Failed(JoinError),
    /// All is drained; give [`Input::Timeout`] then.
    Timeout(Option<Instant>),
}

/// The steps, while they run.
pub struct JoinSteps {
    started: Instant,
    is_new: bool,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy)]
enum State {
    AwaitJoin(Instant),
    AwaitHello(Instant),
    /// The wait of step 7.1.
    AwaitStart(Instant),
    Over,
}

impl JoinSteps {
    /// 1. and 2.: hands out the request to join (or implicitly create) `call`. `is_new`: the call was made for this.
    #[must_use]
    pub fn new(
        now: Instant,
        call: &RunningCall,
        is_new: bool,
        dtls_fingerprint: [u8; 32],
        sfu: &SfuInformation,
    ) -> Self {
        let mut steps = Self {
            started: now,
            is_new,
            state: State::AwaitJoin(now + JOIN_TIMEOUT),
            outputs: VecDeque::new(),
        };
        match SfuUrl::check(&call.start.sfu_base_url, &sfu.allowed_hostname_suffixes) {
            Ok(url) => {
                let protocol_version = call.start.protocol_version;
                let body = JoinRequest {
                    call_id: call.call_id,
                    protocol_version,
                    dtls_fingerprint,
                }
                .encode();
                let request = sfu_request(url.join(&call.call_id), &sfu.token, body, JOIN_TIMEOUT);
                steps.outputs.push_back(Output::Request(request));
            }
            Err(error) => steps.fail(error.into()),
        }
        steps
    }

    /// Makes one change; drain [`Self::poll_output`] after it.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match (self.state, input) {
            (State::AwaitJoin(_), Input::Joined(result)) => self.joined(now, result),
            // 2. If this does not result in a response within 10 s, abort and notify the user.
            (State::AwaitJoin(until), Input::Timeout) if until <= now => {
                self.fail(JoinError::Unreachable)
            }
            (State::AwaitHello(_), Input::HelloReceived) => self.connected(now),
            (State::AwaitHello(until), Input::Timeout) if until <= now => {
                self.fail(JoinError::NoConnection)
            }
            (State::AwaitHello(_) | State::AwaitStart(_), Input::ConnectionFailed) => {
                self.fail(JoinError::NoConnection)
            }
            (State::AwaitStart(until), Input::Timeout) if until <= now => self.establish(),
            // Whatever is late or early changes nothing.
            _ => {}
        }
    }

    /// Drains what the last input caused.
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or(Output::Timeout(match self.state {
                State::AwaitJoin(until) | State::AwaitHello(until) | State::AwaitStart(until) => {
                    Some(until)
                }
                State::Over => None,
            }))
    }

    /// 3. Status 503: the call is full. 4. Not reached, not 200, or not to be decoded: abort. 5. Connect.
    fn joined(&mut self, now: Instant, result: HttpResult) {
        let (status, body) = match result {
            HttpResult::Unreachable => return self.fail(JoinError::Unreachable),
            HttpResult::Response { status, body } => (status, body),
        };
        match (status, JoinResponse::decode(&body)) {
            (200, Ok(response)) => {
                self.state = State::AwaitHello(now + HELLO_TIMEOUT);
                self.outputs.push_back(Output::Connect(Box::new(response)));
            }
            (503, _) => self.fail(JoinError::Full),
            (401, _) => self.fail(JoinError::Unauthorised),
            (419, _) => self.fail(JoinError::UnsupportedVersion),
            (status, _) => self.fail(JoinError::Unexpected(status)),
        }
    }

    /// 7.1 For a new call, wait 2 s minus the time elapsed since step 1.
    fn connected(&mut self, now: Instant) {
        let start_at = self.started + CREATE_DELAY;
        if self.is_new && now < start_at {
            self.state = State::AwaitStart(start_at);
        } else {
            self.establish();
        }
    }

    fn establish(&mut self) {
        self.state = State::Over;
        self.outputs.push_back(Output::Established);
    }

    fn fail(&mut self, error: JoinError) {
        self.state = State::Over;
        self.outputs.push_back(Output::Failed(error));
    }
}

#[cfg(test)]
mod tests;
