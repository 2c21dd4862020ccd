//! How often a publisher is asked for a key frame, however many viewers need one: each costs everybody bandwidth.

use std::time::{Duration, Instant};

use super::layer::LAYERS;

/// Between two requests for l or m, and for h, which costs most (notes of Signal's SFU: 200 and 500 ms).
const PAUSE: [Duration; LAYERS] = [
    Duration::from_millis(200),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

/// Between two requests of one viewer for one feed that reach the publisher.
pub(super) const VIEWER_PAUSE: Duration = Duration::from_millis(1_000);

/// The requests for the layers of one feed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeRequests {
    last_at: [Option<Instant>; LAYERS],
    wanted: [bool; LAYERS],
}

impl KeyframeRequests {
    /// Somebody needs a key frame of `layer`.
    pub(super) fn want(&mut self, layer: usize) {
        self.wanted[layer] = true;
    }

    /// A key frame of `layer` came.
    pub(super) fn came(&mut self, layer: usize) {
        self.wanted[layer] = false;
    }

    /// The layers to ask for now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<usize> {
        let due: Vec<_> = (0..LAYERS)
            .filter(|&layer| self.at(now, layer).is_some_and(|at| at <= now))
            .collect();
        for &layer in &due {
            self.last_at[layer] = Some(now);
            self.wanted[layer] = false;
        }
        due
    }

    fn at(&self, now: Instant, layer: usize) -> Option<Instant> {
        self.wanted[layer].then(|| self.last_at[layer].map_or(now, |last| last + PAUSE[layer]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_requests_becomes_one_per_pause() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        let mut asked = [0; LAYERS];
        for ms in 0..2_000 {
            let now = start + Duration::from_millis(ms);
            for layer in 0..LAYERS {
                requests.want(layer);
            }
            for layer in requests.due(now) {
                asked[layer] += 1;
            }
        }
        assert_eq!(asked, [10, 10, 4]);
    }

    #[test]
    fn a_request_waits_for_its_time_and_ends_when_the_frame_came() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want(2);
        assert_eq!(requests.due(start), [2]);
        requests.want(2);
        assert!(requests.due(start + Duration::from_millis(499)).is_empty());
        assert_eq!(requests.due(start + PAUSE[2]), [2]);
        requests.want(2);
        requests.came(2);
        assert!(requests.due(start + Duration::from_secs(9)).is_empty());
    }
}
