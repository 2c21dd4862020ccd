//! What is heard of the far side: when its sound plays, and whether it speaks.

use std::time::{Duration, Instant};

use hullo_media::jitter::SoundClock;
use hullo_media::session::SessionStats;

use super::super::super::side::SideState;
use super::Dispatch;
use crate::event::CallEvent;
use crate::report::{Percentiles, Stats};

/// From one look at whether the far side speaks to the next: a word lasts longer.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What was heard last.
#[derive(Default)]
pub(super) struct Hearing {
    looked_at: Option<Instant>,
    speaks: bool,
    /// How far pictures were from their sound so far.
    pub(super) lip_sync: Option<Percentiles>,
    /// How long sound waits for pictures; told again to a loudspeaker opened anew.
    wait: Duration,
    /// The microphone is away, which the far side is told as muted.
    mic_gone: bool,
}

impl Dispatch {
    /// What the far side is told of us: without a microphone there is nothing to hear.
    pub(in super::super) fn told(&self) -> SideState {
        SideState {
            muted: self.own.muted || self.hearing.mic_gone,
            ..self.own
        }
    }

    /// Looks at what is heard here, now and then. True when the far side must be told.
    pub(in super::super) fn watch_sound(&mut self, now: Instant) -> bool {
        if self.times.ended.is_some() || !self.sound_watch.is_due(now) {
            return false;
        }
        let Some((media, _)) = &self.media else {
            return false;
        };
        if !self.own.muted {
            self.sound_watch.unmuted();
        }
        let before = self.told();
        let heard = media.heard();
        self.hearing.mic_gone = heard.mic_gone;
        for event in self.sound_watch.look(now, heard) {
            self.call(event);
        }
        self.told() != before
    }

    /// The user wants to be muted, or heard, which takes a microphone.
    pub(super) fn mute(&mut self, muted: bool) {
        if self.specs.has_no_mic() && !muted {
            self.call(CallEvent::Notice(crate::text::NO_MIC_CHOSEN.to_owned()));
            return;
        }
        self.own.muted = muted;
    }

    /// What of the far side plays when, if there is news of it.
    pub(in super::super) fn sound_clock(&self) -> Option<Option<SoundClock>> {
        self.media.as_ref()?.0.sound_clock()
    }

    /// Sound must have at least this delay, so that its pictures are in time.
    pub(super) fn sound_wait(&mut self, wait: Duration) {
        self.hearing.wait = wait;
        if let Some((media, _)) = &self.media {
            media.set_sound_wait(wait);
        }
    }

    /// How long sound waits here, and how far pictures are from it.
    pub(super) fn hear_figures(&mut self, stats: &SessionStats, report: &mut Stats) {
        if let Some(skew) = stats.skew {
            self.hearing.lip_sync = Some(Percentiles {
                p50: skew.all_p50_ms as f64,
                p95: skew.all_p95_ms as f64,
            });
        }
        let Some((media, _)) = self.media.as_ref().filter(|_| !self.own.hold) else {
            return;
        };
        let counters = media.sound_counters();
        if counters.played_ms > 0 {
            report.received.sound_delay_ms = Some(counters.delay_ms);
            report.received.sound_target_ms = Some(counters.target_ms);
        }
    }

    /// Looks at what changes without any message: whether the far side is heard.
    pub(in super::super) fn look(&mut self, now: Instant) {
        let is_due = (self.hearing.looked_at).is_none_or(|at| now >= at + LOOK_EVERY);
        if !is_due {
            return;
        }
        self.hearing.looked_at = Some(now);
        let is_live = self.times.ended.is_none() && !self.own.hold && !self.far.muted;
        let heard = |media: &super::CallMedia| {
            media.set_sound_wait(self.hearing.wait);
            media.is_far_speaking()
        };
        let speaks = self.media.as_ref().is_some_and(|(media, _)| heard(media)) && is_live;
        if std::mem::replace(&mut self.hearing.speaks, speaks) != speaks {
            self.call(CallEvent::FarSpeaking(speaks));
        }
    }
}
