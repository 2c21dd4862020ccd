//! The shell around [`Lobbies`]: its requests as tasks, its answers as reports. What runs, who is in it and how to get in
//! is decided there.

use std::sync::Arc;
use std::time::Duration;

use hullo_proto::group::http::HttpResult;
use hullo_proto::group::id::Identity;
use hullo_proto::group::key::ClientKey;
use hullo_signalling::channel::{Channel, ChannelCommand, ChannelError};
use hullo_signalling::group::GroupEvent;
use hullo_signalling::lobby::{
    Lobbies, LobbyCommand, LobbyConfig, LobbyEvent, LobbyInput, LobbyOutput, LobbyRequest,
    RequestKey,
};
use hullo_signalling::relay_channel::RelayChannel;
use rand_chacha::ChaCha20Rng;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::https;

/// Requests on the wire at once; the others wait, within their own time.
const REQUESTS_MAX: usize = 8;
/// Answers on their way to the thread; beyond it the requests wait to tell theirs.
const ANSWERS_MAX: usize = 16;

/// A request and what came of it.
pub(super) type Answered = (RequestKey, HttpResult, bool);

/// The lobbies of this profile, and their requests under way.
pub(super) struct Lobby {
    lobbies: Lobbies,
    answers: mpsc::Sender<Answered>,
    wire: Arc<Semaphore>,
}

impl Lobby {
    /// For the profile of `channel`, with the groups it is in; `epoch`: the time since 1970. Answers come out of the
    /// receiver, for [`Self::answered`].
    pub(super) fn new(
        channel: &RelayChannel,
        now: Instant,
        epoch: Duration,
        rng: ChaCha20Rng,
    ) -> Result<(Self, mpsc::Receiver<Answered>), ChannelError> {
        let identity = channel.identity();
        let config = LobbyConfig {
            identity: Identity::try_from(identity.key_set().short_id().as_str())
                .expect("eight letters of base32 are an identity"),
            key: ClientKey::from_bytes(identity.x25519().to_bytes()),
            unix_ms: u64::try_from(epoch.as_millis()).unwrap_or(u64::MAX),
        };
        let (answers, inbox) = mpsc::channel(ANSWERS_MAX);
        let mut lobbies = Lobbies::new(now.into_std(), config, rng);
        for group in channel.groups()? {
            lobbies.handle_input(now.into_std(), LobbyInput::Group(&group));
        }
        let lobby = Self {
            lobbies,
            answers,
            wire: Arc::new(Semaphore::new(REQUESTS_MAX)),
        };
        Ok((lobby, inbox))
    }

    pub(super) fn command(&mut self, now: Instant, command: LobbyCommand) {
        self.input(now, LobbyInput::Command(command));
    }

    pub(super) fn group_event(&mut self, now: Instant, event: &GroupEvent) {
        self.input(now, LobbyInput::GroupEvent(event));
    }

    pub(super) fn answered(&mut self, now: Instant, (key, result, wanted): Answered) {
        self.input(now, LobbyInput::Response(key, result, wanted));
    }

    pub(super) fn time_out(&mut self, now: Instant) {
        self.input(now, LobbyInput::Timeout);
    }

    fn input(&mut self, now: Instant, input: LobbyInput<'_>) {
        self.lobbies.handle_input(now.into_std(), input);
    }

    /// Runs the requests, and gives the rest: what the channel is asked, what the program is told, and when to come back.
    pub(super) fn drain(
        &mut self,
        mut ask: impl FnMut(ChannelCommand),
        mut tell: impl FnMut(LobbyEvent),
    ) -> Option<Instant> {
        loop {
            match self.lobbies.poll_output() {
                LobbyOutput::Request(request) => self.send(request),
                LobbyOutput::Channel(command) => ask(ChannelCommand::Group(command)),
                LobbyOutput::Event(event) => tell(event),
                LobbyOutput::Timeout(deadline) => return deadline.map(Instant::from_std),
            }
        }
    }

    /// Must be called on the runtime. The task ends by itself within the request's own time.
    fn send(&self, request: LobbyRequest) {
        let (answers, wire) = (self.answers.clone(), Arc::clone(&self.wire));
        tokio::spawn(async move {
            let LobbyRequest {
                key,
                http,
                pin,
                is_join,
            } = request;
            let time_max = http.timeout;
            let run = async {
                // It is never closed.
                let _place = wire.acquire().await;
                https::post(http, pin, is_join).await
            };
            let answer = match tokio::time::timeout(time_max, run).await {
                Ok(answer) => (key, answer.result, answer.has_wanted_channel),
                Err(_late) => (key, HttpResult::Unreachable, false),
            };
            // Nobody listens any more when the program ends.
            let _ended = answers.send(answer).await;
        });
    }
}
