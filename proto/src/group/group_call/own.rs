//! What we capture, and holding (protocol text, `CaptureState` and `HoldState`, creation steps).

use std::time::{Duration, Instant};

use super::{Event, GroupCall, Refused, TIMESTAMP_TIMEOUT};
use crate::group::roster::Captures;
use crate::group::wire::{Capture, Device, PeerMessage, ToSfu};

/// Messages that switching may send in a row. A server takes 800 and drops what comes too fast; a lost one puts the
/// counters of two participants apart for good, so a key that is held down must stay far below.
const SWITCH_MESSAGES_MAX: u32 = 300;
/// Time that earns one of them back; half of what a server lets through without end.
const SWITCH_MESSAGE_TIME: Duration = Duration::from_millis(40);
/// Messages to each participant by turning one device on, and off again.
const SWITCH_MESSAGES: u32 = 2;
/// The same for coming back from hold, and holding again.
const HOLD_MESSAGES: u32 = 7;

/// How much may be switched now. Turning off and holding are never delayed, only what makes them possible again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Switching {
    /// When all that was spent is earned back.
    earned_at: Option<Instant>,
    /// To be turned on when it can be afforded.
    waiting: Vec<Device>,
    /// To come back from hold then.
    is_coming_back: bool,
}

impl Switching {
    /// Spends so many messages; or says when that can be afforded.
    fn spend(&mut self, now: Instant, messages: u32) -> Result<(), Instant> {
        let all = SWITCH_MESSAGE_TIME * SWITCH_MESSAGES_MAX;
        let cost = SWITCH_MESSAGE_TIME * messages.min(SWITCH_MESSAGES_MAX);
        let earned_at = self.earned_at.map_or(now, |at| at.max(now));
        let spent = earned_at + cost;
        if spent > now + all {
            return Err(spent - all);
        }
        self.earned_at = Some(spent);
        Ok(())
    }
}

/// Our own devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    pub(super) captures: Captures,
    /// The user muted the microphone; before the SFU's hello that is a wish to begin muted.
    pub(super) is_muted: bool,
    /// While away: what is to be on again afterwards.
    held: Option<Vec<Device>>,
    switching: Switching,
}

impl Own {
    /// What is captured and sent now.
    #[must_use]
    pub fn captures(&self) -> Captures {
        self.captures
    }

    /// Whether we are away.
    #[must_use]
    pub fn is_on_hold(&self) -> bool {
        self.held.is_some()
    }

    /// The devices that are on, as they are announced.
    pub(super) fn active(&self) -> Vec<Capture> {
        Device::ALL
            .map(|device| self.state(device))
            .into_iter()
            .filter(|state| state.is_on())
            .collect()
    }

    pub(super) fn state(&self, device: Device) -> Capture {
        match device {
            Device::Microphone => Capture::Microphone(self.captures.microphone),
            Device::Camera => Capture::Camera(self.captures.camera),
            Device::Screen => Capture::Screen(self.captures.screen),
        }
    }
}

impl GroupCall {
    /// The user turns a device on or off. While away this changes what comes back.
    pub(super) fn set_capture(&mut self, now: Instant, device: Device, on: bool) {
        if device == Device::Microphone {
            self.own.is_muted = !on;
        }
        if let Some(held) = &mut self.own.held {
            held.retain(|other| *other != device);
            if on {
                held.push(device);
            }
            return;
        }
        self.own.switching.waiting.retain(|other| *other != device);
        if on && !self.own.state(device).is_on() && !self.can_afford(now, SWITCH_MESSAGES) {
            self.own.switching.waiting.push(device);
            return;
        }
        match (device, on) {
            (Device::Microphone, on) => self.announce(Capture::Microphone(on)),
            (Device::Camera, on) => self.announce(Capture::Camera(on)),
            (Device::Screen, true) => self.request_timestamp(now),
            (Device::Screen, false) => {
                self.timers.timestamp = None;
                self.announce(Capture::Screen(None));
            }
        }
    }

    /// Whether so many messages to each participant may be sent now. If not, a deadline is set.
    fn can_afford(&mut self, now: Instant, messages: u32) -> bool {
        let people = u32::try_from(self.roster.authenticated().count()).unwrap_or(u32::MAX);
        match self
            .own
            .switching
            .spend(now, messages.saturating_mul(people))
        {
            Ok(()) => true,
            Err(at) => {
                self.timers.switching = Some(at);
                false
            }
        }
    }

    /// What had to wait is tried again.
    pub(super) fn switch_again(&mut self, now: Instant) {
        if std::mem::take(&mut self.own.switching.is_coming_back) {
            self.set_hold(now, false);
        }
        for device in std::mem::take(&mut self.own.switching.waiting) {
            self.set_capture(now, device, true);
        }
    }

    /// *When creating this message* (`CaptureState`): 2. off: stop capturing, pause the track; 3. on: start
    /// capturing, resume the track (both by the event, which comes first); 4. send it.
    pub(super) fn announce(&mut self, state: Capture) {
        if self.own.state(state.device()) == state {
            return;
        }
        self.own.captures.set(state);
        self.event(Event::OwnCapture(state));
        self.broadcast(&PeerMessage::Capture(state));
    }

    /// A screen is announced with the SFU's time, so that the newest can be told; ask for that first.
    fn request_timestamp(&mut self, now: Instant) {
        if !self.supported_features.has_screen_share() {
            return self.event(Event::Refused(Refused::NoScreens));
        }
        if self.own.captures.screen.is_none() && self.timers.timestamp.is_none() {
            self.timers.timestamp = Some(now + TIMESTAMP_TIMEOUT);
            self.transmit(&ToSfu::RequestTimestamp);
        }
    }

    pub(super) fn timestamp(&mut self, ms: u64) {
        if self.timers.timestamp.take().is_some() {
            self.announce(Capture::Screen(Some(ms)));
        }
    }

    /// *When creating this message* (`HoldState`): 1. send a `CaptureState` for each capture device, following
    /// that message's creation steps; 2. send the `HoldState`.
    ///
    /// The text has no message for coming back. We announce what each device does then, on or off;
    /// a `CaptureState` after a `HoldState` says that its sender is back.
    pub(super) fn set_hold(&mut self, now: Instant, hold: bool) {
        self.own.switching.is_coming_back = false;
        if hold == self.own.is_on_hold() {
            return;
        }
        if hold {
            let mut active: Vec<_> = self.own.active().into_iter().map(Capture::device).collect();
            if self.timers.timestamp.take().is_some() {
                active.push(Device::Screen);
            }
            active.append(&mut self.own.switching.waiting);
            for device in Device::ALL {
                self.state_for_all(device, Capture::off(device));
            }
            self.own.held = Some(active);
            self.broadcast(&PeerMessage::Hold);
            return;
        }
        if !self.can_afford(now, HOLD_MESSAGES) {
            self.own.switching.is_coming_back = true;
            return;
        }
        let held = self.own.held.take().unwrap_or_default();
        self.state_for_all(
            Device::Microphone,
            Capture::Microphone(held.contains(&Device::Microphone)),
        );
        self.state_for_all(
            Device::Camera,
            Capture::Camera(held.contains(&Device::Camera)),
        );
        if held.contains(&Device::Screen) {
            self.request_timestamp(now);
        }
    }

    /// Announces even what did not change; the screen only to calls that know it.
    fn state_for_all(&mut self, device: Device, state: Capture) {
        if self.own.state(device) != state {
            self.announce(state);
        } else if device != Device::Screen || self.supported_features.has_screen_share() {
            self.broadcast(&PeerMessage::Capture(state));
        }
    }
}
