//! Sound in the machine of a call: copies and reports on their way in and out, and how the encoder is to work.

use std::time::Instant;

use hullo_media::frame::EncodedFrame;
use hullo_media::session::{SendBudget, SessionStats};
use hullo_media::sound_link::SoundLink;
use hullo_proto::frame::{FrameKind, LossReport, OpenedFrame, SealError, SealedFrame, Sealer};

use super::super::side::SideState;
use super::{Engine, Event, Output};

/// Our state, with what this program can read.
pub(super) fn with_copies(own: SideState) -> SideState {
    SideState {
        copies: true,
        ..own
    }
}

/// Seals a packet with its company, or alone for a peer that knows no company.
pub(super) fn seal(
    sound: &mut SoundLink,
    sealer: &mut Sealer,
    frame: &EncodedFrame,
) -> Result<SealedFrame, SealError> {
    let outgoing = sound.outgoing(&frame.data, frame.captured_at);
    let sealed = if sound.takes_copies() {
        sealer.seal_sound(&frame.data, &outgoing.copies, outgoing.report)
    } else {
        sealer.seal(FrameKind::Audio, &frame.data)
    };
    let samples = u32::try_from(outgoing.samples).unwrap_or(u32::MAX);
    Ok(sealed?.lasting(samples))
}

impl Engine {
    /// Hands the packets of an opened frame to the jitter buffer.
    pub(super) fn receive_sound(&mut self, now: Instant, opened: OpenedFrame, media_time: u64) {
        for frame in self.sound.incoming(now, opened, media_time) {
            self.outputs.push_back(Output::Event(Event::Audio(frame)));
        }
        self.tell_sound(now);
    }

    /// The session's figures of the last second.
    pub(super) fn sound_measured(&mut self, now: Instant, stats: &SessionStats) {
        // What the far side counts of our sound goes before what the session makes of all packets.
        let loss = stats.confirmed.map_or_else(
            || LossReport::new(stats.sent_loss.unwrap_or(0.0), 1.0),
            |confirmed| LossReport::new(confirmed.sound_loss, confirmed.sound_burst),
        );
        let queue = stats.confirmed.map(|confirmed| confirmed.queue);
        // What may be sent is never more than what the line carries, and less while a queue drains.
        let total = stats.budget.map(|budget| budget.total_bps);
        let available = stats
            .estimate_bps
            .map(|line| total.map_or(line, |total| total.min(line)));
        let arrives = stats.confirmed.map(|confirmed| confirmed.goodput_bps);
        self.sound
            .measured((stats.rtt, queue), loss, (arrives, available));
        self.tell_sound(now);
    }

    /// What may be sent changed: a queue that fills does not wait for the figures of the second.
    pub(super) fn sound_may(&mut self, now: Instant, budget: &SendBudget) {
        self.sound.carries(budget.total_bps.min(budget.line_bps));
        self.tell_sound(now);
    }

    fn tell_sound(&mut self, now: Instant) {
        if let Some(settings) = self.sound.settings(now) {
            self.outputs
                .push_back(Output::Event(Event::Sound(settings)));
        }
    }
}
