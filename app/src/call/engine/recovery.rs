//! What happens when the peer falls silent: the session looks for another way by itself; when that does not help, a new
//! session beside the old one is agreed upon; when nothing helps, the call ends.

use std::time::{Duration, Instant};

use hullo_proto::call::Input as MachineInput;

use super::{Engine, Event, Output};

/// How long a silent connection is kept, from when the silence was noticed. Shorter drops calls in tunnels, longer
/// leaves people talking to nobody.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// After the connection closed, the `x.call.end` that says why may still be on its way through the relay.
const CLOSE_GRACE: Duration = Duration::from_millis(1_500);
/// The session's own ways get this long before a new one is made. Less makes sessions for every short gap.
const RESTART_AFTER: Duration = Duration::from_millis(1_500);
/// Between two new sessions: one must have time to connect through a relay.
const RESTART_INTERVAL: Duration = Duration::from_secs(6);

/// What is due while the peer is silent.
#[derive(Default)]
pub(super) struct Recovery {
    /// The call ends then; true: the peer said goodbye on the wire.
    lost_at: Option<(Instant, bool)>,
    restart_at: Option<Instant>,
}

impl Recovery {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let lost_at = self.lost_at.map(|(at, _)| at);
        [lost_at, self.restart_at].into_iter().flatten().min()
    }
}

impl Engine {
    /// A session's ICE and DTLS stand.
    pub(super) fn stands(&mut self, now: Instant, generation: u32) {
        if generation == 0 {
            self.machine
                .handle_input(now, MachineInput::SessionConnected);
        } else {
            let was_silent = self.recovery.lost_at.is_some();
            self.promote(now, generation);
            self.recovery = Recovery::default();
            self.break_video(now);
            if was_silent {
                self.outputs.push_back(Output::Event(Event::Resumed));
            }
        }
        self.outputs.push_back(Output::Event(Event::KeyframeWanted));
    }

    /// Nothing comes any more.
    pub(super) fn silent(&mut self, now: Instant, generation: u32) {
        if !self.is_current(generation) {
            return;
        }
        self.recovery = Recovery {
            lost_at: Some((now + SILENCE_MAX, false)),
            restart_at: Some(now + RESTART_AFTER),
        };
        self.outputs.push_back(Output::Event(Event::Interrupted));
        self.step("nothing comes from the other side, every known way is tried again");
    }

    pub(super) fn heard_again(&mut self, now: Instant, generation: u32) {
        if self.is_current(generation) {
            self.recovery = Recovery::default();
            self.outputs.push_back(Output::Event(Event::Resumed));
            // Pictures of the time between are missing on both sides.
            self.break_video(now);
            self.outputs.push_back(Output::Event(Event::KeyframeWanted));
        }
    }

    pub(super) fn session_closed(&mut self, now: Instant, generation: u32) {
        if !self.is_current(generation) {
            self.let_go(now, |path| path.generation == generation);
        } else if !self.ended {
            self.recovery.lost_at = Some((now + CLOSE_GRACE, true));
        }
    }

    /// The session that carries the call brings frames: the one before it is no longer needed.
    pub(super) fn leave_others(&mut self, now: Instant, generation: u32) {
        if self.paths.len() > 1 && self.is_current(generation) {
            self.let_go(now, |path| path.generation < generation);
        }
    }

    pub(super) fn recover(&mut self, now: Instant) {
        if self.recovery.restart_at.is_some_and(|at| at <= now) {
            self.recovery.restart_at = Some(now + RESTART_INTERVAL);
            self.machine.handle_input(now, MachineInput::Restart);
            self.step("the other side is asked for a new connection");
        }
        let due = self.recovery.lost_at.take_if(|(at, _)| *at <= now);
        if let Some((_, closed)) = due {
            self.recovery.restart_at = None;
            let input = if closed {
                MachineInput::SessionClosed
            } else {
                MachineInput::SessionLost
            };
            self.machine.handle_input(now, input);
        }
    }

    fn step(&mut self, words: &str) {
        self.outputs.push_back(Output::Event(Event::Step {
            words: words.to_owned(),
            is_trouble: false,
        }));
    }
}
