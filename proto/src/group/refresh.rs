//! The *Group Call Refresh Steps* of one group, run once: which of its calls is the chosen one
//! (protocol text, *Periodic Refresh*).
//!
//! Steps 1 to 3 and 5 are here, numbered as in the text; 4 and 6 to 10 concern what else goes on
//! and are in the lobby, which owns the list of running calls.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::http::{HttpRequest, HttpResult, SfuInformation, SfuUrl, sfu_request};
use super::id::{CallId, PROTOCOL_VERSION};
use super::key::StateKey;
use super::wire::{CallState, PeekRequest, PeekResponse, StartMessage};

/// How long a peek may take.
pub const PEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// From this many failures on a call can be dropped …
pub const FAILED_MIN: u32 = 3;

/// … if it was received longer ago than this.
pub const RECEIVED_AGO_MIN: Duration = Duration::from_secs(10 * 60 * 60);

/// A call of a group that is considered running.
#[derive(Clone)]
pub struct RunningCall {
    /// Derived from `start`.
    pub call_id: CallId,
    /// As received, or as made by us.
    pub start: StartMessage,
    /// When it was received, in milliseconds since 1970; survives restarts.
    pub received_at_ms: u64,
    /// Peeks that failed in a row.
    pub failed: u32,
}

/// What a peek told of the chosen call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenCall {
    /// Which.
    pub call_id: CallId,
    /// When its first participant joined, in milliseconds since 1970 by the SFU's clock.
    pub started_at_ms: u64,
    /// How many may join; 0: not known.
    pub max_participants: u32,
    /// Who is in it, as someone in it said; may be wrong or old.
    pub state: Option<CallState>,
}

/// What is to become of one running call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub call_id: CallId,
    /// No longer running.
    pub remove: bool,
    /// Its failed counter from now on.
    pub failed: u32,
}

/// What came of the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// One per call peeked.
    pub verdicts: Vec<Verdict>,
    /// Step 5.
    pub chosen: Option<ChosenCall>,
}

/// Something a user or an operator may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshWarning {
    /// Step 3.6.
    #[error(
        "a group call of an unsupported version ({0}) is running; a newer program is needed to join it"
    )]
    UnsupportedVersion(u32),
    /// The address must not get our token.
    #[error("a group call runs on a server that is not one of yours")]
    ServerNotAllowed,
}

/// One change.
pub enum Input<'a> {
    /// What came of the peek of a call.
    Peeked(CallId, HttpResult),
    /// The token that was asked for, or `None`: there is none within 10 s.
    Token(Option<&'a SfuInformation>),
    /// A deadline passed.
    Timeout,
}

/// What is to be done.
pub enum Output {
    /// Run this peek.
    Peek(CallId, HttpRequest),
    /// Give a fresh token by [`Input::Token`]; asked once however many calls need it.
    TokenNeeded,
    /// To be shown or logged.
    Warning(RefreshWarning),
    /// The end.
    Done(Refreshed),
    /// All is drained; give [`Input::Timeout`] then.
    Timeout(Option<Instant>),
}

/// The steps, while they run.
pub struct Refresh {
    unix_ms: u64,
    calls: Vec<Peek>,
    outputs: VecDeque<Output>,
    is_done: bool,
}

/// One call of `calls` in its *peek-call* sub-steps.
struct Peek {
    call: RunningCall,
    token_refreshed: bool,
    stage: Stage,
}

enum Stage {
    AwaitToken,
    AwaitResponse(Instant),
    /// Kept in `calls`, with what it told.
    Kept(ChosenCall),
    /// Not in `calls` any more; `true`: not in `running` either.
    Dropped(bool),
}

impl Refresh {
    /// 1. Let `running` be the calls considered running. 2. Let `calls` be a copy, none marked *token-refreshed*.
    /// 3. Peek each, concurrently. `participating`: the call the user is in, with its `started_at`.
    #[must_use]
    pub fn new(
        now: Instant,
        unix_ms: u64,
        running: &[RunningCall],
        participating: Option<&ChosenCall>,
        sfu: Option<&SfuInformation>,
    ) -> Self {
        let calls = running.iter().cloned().map(|call| {
            // 3.1 If the user is participating in `call`, abort (it is kept; it started when the SFU said at join).
            let stage =
                match participating.filter(|participating| participating.call_id == call.call_id) {
                    Some(participating) => Stage::Kept(participating.clone()),
                    None => Stage::AwaitToken,
                };
            Peek {
                call,
                token_refreshed: false,
                stage,
            }
        });
        let mut refresh = Self {
            unix_ms,
            calls: calls.collect(),
            outputs: VecDeque::new(),
            is_done: false,
        };
        match sfu {
            Some(sfu) => refresh.peek_waiting(now, sfu),
            None if refresh.is_waiting_for_token() => {
                refresh.outputs.push_back(Output::TokenNeeded)
            }
            None => {}
        }
        refresh.finish();
        refresh
    }

    /// Makes one change; drain [`Self::poll_output`] after it.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Peeked(call_id, result) => self.peeked(call_id, result),
            Input::Token(Some(sfu)) => self.peek_waiting(now, sfu),
            // 3.3.1 If there is no token within 10 s, remove `call` from `calls` and abort.
            Input::Token(None) => {
                for peek in self
                    .calls
                    .iter_mut()
                    .filter(|peek| matches!(peek.stage, Stage::AwaitToken))
                {
                    peek.stage = Stage::Dropped(false);
                }
            }
            // 3.2 If there is no response within 5 s, remove `call` from `calls` and abort.
            Input::Timeout => {
                for peek in &mut self.calls {
                    if matches!(peek.stage, Stage::AwaitResponse(until) if until <= now) {
                        peek.stage = Stage::Dropped(false);
                    }
                }
            }
        }
        self.finish();
    }

    /// Drains what the last input caused.
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Timeout(self.next_timeout()))
    }

    fn next_timeout(&self) -> Option<Instant> {
        let until = |peek: &Peek| match peek.stage {
            Stage::AwaitResponse(until) => Some(until),
            Stage::AwaitToken | Stage::Kept(_) | Stage::Dropped(_) => None,
        };
        self.calls.iter().filter_map(until).min()
    }

    fn is_waiting_for_token(&self) -> bool {
        self.calls
            .iter()
            .any(|peek| matches!(peek.stage, Stage::AwaitToken))
    }

    /// 3.2 Peek the call via `SfuHttpRequest.Peek`.
    fn peek_waiting(&mut self, now: Instant, sfu: &SfuInformation) {
        for peek in self
            .calls
            .iter_mut()
            .filter(|peek| matches!(peek.stage, Stage::AwaitToken))
        {
            let call_id = peek.call.call_id;
            let Ok(url) = SfuUrl::check(
                &peek.call.start.sfu_base_url,
                &sfu.allowed_hostname_suffixes,
            ) else {
                // The address came from a member; our token does not go there.
                self.outputs
                    .push_back(Output::Warning(RefreshWarning::ServerNotAllowed));
                peek.stage = Stage::Dropped(true);
                continue;
            };
            let body = PeekRequest { call_id }.encode();
            let request = sfu_request(url.peek(&call_id), &sfu.token, body, PEEK_TIMEOUT);
            self.outputs.push_back(Output::Peek(call_id, request));
            peek.stage = Stage::AwaitResponse(now + PEEK_TIMEOUT);
        }
    }

    fn peeked(&mut self, call_id: CallId, result: HttpResult) {
        let asked_already = self.is_waiting_for_token();
        let Some(peek) = self
            .calls
            .iter_mut()
            .find(|peek| peek.call.call_id == call_id)
        else {
            return;
        };
        // A late answer, after 5 s, changes nothing.
        let Stage::AwaitResponse(_) = peek.stage else {
            return;
        };
        if matches!(result, HttpResult::Response { status: 401, .. }) && !peek.token_refreshed {
            // 3.3.1 Refresh the token. 3.3.2 Mark the call. 3.3.3 Restart once it is there.
            peek.token_refreshed = true;
            peek.stage = Stage::AwaitToken;
            if !asked_already {
                self.outputs.push_back(Output::TokenNeeded);
            }
            return;
        }
        let decoded = match &result {
            HttpResult::Response { status: 200, body } => PeekResponse::decode(body).ok(),
            HttpResult::Response { .. } | HttpResult::Unreachable => None,
        };
        match decoded {
            Some(response) => {
                if let Some(warning) = peek.answered(response) {
                    self.outputs.push_back(Output::Warning(warning));
                }
            }
            None => peek.failed(&result, self.unix_ms),
        }
    }

    /// When all sub-steps have returned: 5. let `chosen-call` be any call of `calls` with the highest `started_at`.
    fn finish(&mut self) {
        let runs = |peek: &Peek| matches!(peek.stage, Stage::AwaitToken | Stage::AwaitResponse(_));
        if self.is_done || self.calls.iter().any(runs) {
            return;
        }
        self.is_done = true;
        let mut refreshed = Refreshed::default();
        for peek in std::mem::take(&mut self.calls) {
            let remove = matches!(peek.stage, Stage::Dropped(true));
            refreshed.verdicts.push(Verdict {
                call_id: peek.call.call_id,
                remove,
                failed: peek.call.failed,
            });
            if let Stage::Kept(call) = peek.stage {
                refreshed.chosen = more_recent(refreshed.chosen, Some(call));
            }
        }
        self.outputs.push_back(Output::Done(refreshed));
    }
}

impl Peek {
    /// 3.5 Reset the failed counter. 3.6 If the version is not supported, remove `call` from `calls` and log a
    /// warning. 3.7 (It is kept in `calls` and in `running`.)
    fn answered(&mut self, response: PeekResponse) -> Option<RefreshWarning> {
        self.call.failed = 0;
        let version = self.call.start.protocol_version;
        if version != PROTOCOL_VERSION {
            self.stage = Stage::Dropped(false);
            return Some(RefreshWarning::UnsupportedVersion(version));
        }
        let key = self.call.start.key.state_key();
        self.stage = Stage::Kept(ChosenCall {
            call_id: self.call.call_id,
            started_at_ms: response.started_at_ms,
            max_participants: response.max_participants,
            state: response
                .encrypted_call_state
                .and_then(|sealed| open_state(&key, &sealed)),
        });
        None
    }

    /// 3.4.1 Remove `call` from `calls`. 3.4.2 Status 404: from `running`, too. 3.4.3 If it failed 3 times or more
    /// and was received more than 10 h ago: from `running`, too. 3.4.4 Count the failure.
    fn failed(&mut self, result: &HttpResult, unix_ms: u64) {
        let is_gone = matches!(result, HttpResult::Response { status: 404, .. });
        let age = Duration::from_millis(unix_ms.saturating_sub(self.call.received_at_ms));
        let is_stale = self.call.failed >= FAILED_MIN && age > RECEIVED_AGO_MIN;
        if !is_gone && !is_stale {
            self.call.failed = self.call.failed.saturating_add(1);
        }
        self.stage = Stage::Dropped(is_gone || is_stale);
    }
}

/// Step 5: the call with the highest `started_at`. The text takes *any* of two that started in the same
/// millisecond; the greater call id, so that everyone takes the same one.
pub(super) fn more_recent(a: Option<ChosenCall>, b: Option<ChosenCall>) -> Option<ChosenCall> {
    a.into_iter()
        .chain(b)
        .max_by_key(|call| (call.started_at_ms, call.call_id))
}

/// A call state that does not open or decode is none: it is only for show.
#[must_use]
pub fn open_state(key: &StateKey, sealed: &[u8]) -> Option<CallState> {
    CallState::decode(&key.open(sealed).ok()?).ok()
}

#[cfg(test)]
mod tests;
