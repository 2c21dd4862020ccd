//! TURN servers that our own server gives for a while, for those who name none in their settings.

use std::time::{Duration, Instant};

use hullo_media::reach::Carrier;
use hullo_proto::service::turn::TurnGrant;

use super::Calls;
use crate::call::driver::Command;
use crate::call::servers::{CallServers, NamedTurn, resolve};
use crate::config::TurnUrl;

/// What was given is good for twelve hours; a call that begins late in them should last.
const GRANT_LIFE: Duration = Duration::from_secs(6 * 3_600);
/// A server that had none to give is asked again after this, and one that is being asked not before.
const ASK_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// When we were given what.
pub(super) struct Given {
    /// The settings name their own: nobody is asked.
    has_own: bool,
    given_at: Option<Instant>,
    asked_at: Option<Instant>,
}

impl Given {
    pub(super) fn new(servers: &CallServers) -> Self {
        Self {
            has_own: !servers.turn.is_empty(),
            given_at: None,
            asked_at: None,
        }
    }
}

impl Calls {
    /// No call is possible until a TURN server is known.
    pub fn depends_on_turn(&self) -> bool {
        !self.servers.allows_calls()
    }

    /// Whether our server is to be asked now. Asked so, it counts as done.
    pub fn wants_turn(&mut self, now: Instant) -> bool {
        let given = &mut self.turn;
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let is_good = since(given.given_at).is_some_and(|age| age < GRANT_LIFE);
        let is_asked = since(given.asked_at).is_some_and(|age| age < ASK_INTERVAL);
        let wants = !given.has_own && !is_good && !is_asked;
        if wants {
            given.asked_at = Some(now);
        }
        wants
    }

    /// Takes what our server gave, for the calls there are and those to come.
    pub fn granted(&mut self, now: Instant, grant: Option<TurnGrant>) {
        let Some(grant) = grant.filter(|_| !self.turn.has_own) else {
            return;
        };
        let named = |url: &String| {
            let url = TurnUrl::try_from(url.clone()).ok()?;
            Some(NamedTurn {
                carrier: match (url.is_tls, url.is_tcp) {
                    (true, _) => Carrier::Tls,
                    (false, true) => Carrier::Tcp,
                    (false, false) => Carrier::Udp,
                },
                address: url.address,
                username: grant.username.clone(),
                password: grant.password.clone(),
            })
        };
        self.servers.turn = grant.urls.iter().filter_map(named).collect();
        self.turn.given_at = Some(now);
        let servers = CallServers {
            stun: Vec::new(),
            ..self.servers.clone()
        };
        for current in &self.current {
            let commands = current.handle.commands();
            resolve(&servers, move |it| commands.send(Command::Resolved(it)));
        }
    }
}
