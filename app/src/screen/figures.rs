//! What the pictures on the screen come to: bytes and pictures of the last seconds, and how they are drawn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hullo_picture::{Colours, Glyphs, PixelKind};

/// The time that figures are of.
const WINDOW: Duration = Duration::from_secs(2);

/// Figures of the pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Bytes a second that pictures took.
    pub bytes: usize,
    /// Pictures a second that were drawn.
    pub pictures: f32,
    /// Bytes a second that they may take now.
    pub rate: usize,
    /// The terminal's last answer took so long; `None`: it has not answered.
    pub round_trip: Option<Duration>,
    /// Colours of characters.
    pub colours: Colours,
    /// The characters.
    pub glyphs: Glyphs,
    /// Pixels are drawn instead.
    pub pixels: Option<PixelKind>,
}

/// Counts frames.
#[derive(Debug, Default)]
pub(super) struct Meter {
    frames: VecDeque<(Instant, usize, usize)>,
}

impl Meter {
    /// A frame of so many bytes and pictures.
    pub(super) fn note(&mut self, now: Instant, bytes: usize, pictures: usize) {
        self.forget(now);
        self.frames.push_back((now, bytes, pictures));
    }

    fn forget(&mut self, now: Instant) {
        while (self.frames.front())
            .is_some_and(|(at, ..)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.frames.pop_front();
        }
    }

    pub(super) fn figures(&self, now: Instant) -> Figures {
        let is_new = |at: &Instant| now.saturating_duration_since(*at) <= WINDOW;
        let (mut bytes, mut pictures) = (0, 0);
        for (_, more, drawn) in self.frames.iter().filter(|(at, ..)| is_new(at)) {
            bytes += more;
            pictures += drawn;
        }
        let seconds = WINDOW.as_secs_f32();
        Figures {
            bytes: (bytes as f32 / seconds) as usize,
            pictures: pictures as f32 / seconds,
            ..Figures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the virtual clock begins at one real reading"
    )]
    fn figures_are_of_the_last_seconds_alone() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let after = |ms: u64| start + Duration::from_millis(ms);
        for frame in 0..90 {
            meter.note(
                after(frame * 100),
                if frame < 50 { 9_000 } else { 1_000 },
                1,
            );
        }
        let figures = meter.figures(after(8_950));
        assert!((9_000..=11_000).contains(&figures.bytes), "{figures:?}");
        assert!((9.0..=11.0).contains(&figures.pictures), "{figures:?}");
        assert!(meter.frames.len() < 30, "no more is kept");
        assert_eq!(meter.figures(after(20_000)).bytes, 0);
    }
}
