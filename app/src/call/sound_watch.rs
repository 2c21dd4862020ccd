//! What is told about sound while a call runs, a few times a second: how loud it is, what became of the devices, and that
//! somebody talks who is muted.

use std::time::{Duration, Instant};

use crate::event::{CallEvent, Levels};

/// Time between two looks: a meter that is slower looks broken, one that is faster only costs drawing.
const LOOK: Duration = Duration::from_millis(200);
/// Whoever goes on talking while muted is told so again after this time: most do it on purpose, to somebody in the room.
const REMIND: Duration = Duration::from_secs(60);

/// What the devices say.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// What the microphone hears, dB of full scale.
    pub mic_db: f32,
    /// What the loudspeaker plays, dB of full scale.
    pub speaker_db: f32,
    /// The microphone is away.
    pub mic_gone: bool,
    /// The loudspeaker is away.
    pub speaker_gone: bool,
    /// Somebody speaks into a microphone that is muted.
    pub speaks_muted: bool,
    /// What became of the devices, in sentences.
    pub news: Vec<String>,
}

/// Decides what is told.
#[derive(Debug, Default)]
pub struct SoundWatch {
    looked_at: Option<Instant>,
    reminded_at: Option<Instant>,
    /// The meters were told last as these.
    told: Option<Levels>,
}

impl SoundWatch {
    /// How long the thread of a call may sleep until the next look.
    #[must_use]
    pub fn wait_max(&self) -> Duration {
        LOOK
    }

    /// Whether it is time for a look.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.looked_at.is_none_or(|at| now >= at + LOOK)
    }

    /// Looks; what is to be told.
    pub fn look(&mut self, now: Instant, heard: Heard) -> Vec<CallEvent> {
        self.looked_at = Some(now);
        let mut events: Vec<CallEvent> = heard.news.into_iter().map(CallEvent::Notice).collect();
        let reminds = heard.speaks_muted
            && (self.reminded_at).is_none_or(|at| now.saturating_duration_since(at) >= REMIND);
        if reminds {
            self.reminded_at = Some(now);
            events.push(CallEvent::TalksMuted);
        }
        let levels = Levels {
            mic_gone: heard.mic_gone,
            speaker_gone: heard.speaker_gone,
            ..Levels::of(heard.mic_db, heard.speaker_db)
        };
        if self.told != Some(levels) {
            self.told = Some(levels);
            events.push(CallEvent::Levels(levels));
        }
        events
    }

    /// The microphone is open again: whoever mutes it anew is told anew.
    pub fn unmuted(&mut self) {
        self.reminded_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(speaks_muted: bool, mic_db: f32) -> Heard {
        Heard {
            mic_db,
            speaker_db: -100.0,
            mic_gone: false,
            speaker_gone: false,
            speaks_muted,
            news: Vec::new(),
        }
    }

    #[test]
    fn who_talks_while_muted_is_told_once_a_minute_and_after_each_muting() {
        let (zero, mut watch) = (Instant::now(), SoundWatch::default());
        let told = |at_s: u64, speaks: bool, watch: &mut SoundWatch| {
            let now = zero + Duration::from_secs(at_s);
            let events = watch.look(now, heard(speaks, -100.0));
            (events.iter()).any(|event| matches!(event, CallEvent::TalksMuted))
        };
        assert!(!told(0, false, &mut watch));
        assert!(told(1, true, &mut watch));
        assert!(!told(2, true, &mut watch) && !told(60, true, &mut watch));
        assert!(told(61, true, &mut watch));
        watch.unmuted();
        assert!(told(62, true, &mut watch));
    }

    #[test]
    fn meters_are_told_when_they_move() {
        let (zero, mut watch) = (Instant::now(), SoundWatch::default());
        assert!(watch.is_due(zero));
        let count = |events: Vec<CallEvent>| {
            let is_level = |event: &CallEvent| matches!(event, CallEvent::Levels(_));
            events.iter().filter(|event| is_level(event)).count()
        };
        assert_eq!(count(watch.look(zero, heard(false, -60.0))), 1);
        assert!(!watch.is_due(zero + LOOK / 2) && watch.is_due(zero + LOOK));
        assert_eq!(count(watch.look(zero + LOOK, heard(false, -60.1))), 0);
        assert_eq!(count(watch.look(zero + 2 * LOOK, heard(false, -20.0))), 1);
    }
}
