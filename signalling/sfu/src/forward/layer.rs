//! Which of the pictures a publisher sends each viewer gets: the smallest that fills what the viewer can show, as long as
//! the estimate of its line allows.

use std::time::{Duration, Instant};

use hullo_proto::service::sfu::View;

/// Simulcast layers l, m, h; a publisher without simulcast sends h only.
pub(super) const LAYERS: usize = 3;

/// Sizes of l, m, h when nothing is known: what most clients capture, 1280x960, over 4, 2 and 1.
const NOMINAL: [(u32, u32); LAYERS] = [(320, 240), (640, 480), (1_280, 960)];
/// Bits per second of l, m, h when nothing is known: the limits of the clients' encoders (protocol facts, section 3).
const NOMINAL_BPS: [u32; LAYERS] = [100_000, 250_000, 1_200_000];
/// A layer takes at most this many times the one below: four times its pixels, and a little.
const STEP_MAX: u32 = 5;
/// A layer that sent nothing this long is off: five frames at 5 per second, the slowest camera worth the name.
const SILENT_TIME: Duration = Duration::from_millis(1_000);
/// Rates are measured over this.
const RATE_WINDOW: Duration = Duration::from_millis(500);
/// A layer fills a view if it has this part of its pixels: 3/4, which nobody sees.
const FILLS: (u64, u64) = (3, 4);

/// What is known of one layer a publisher sends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layer {
    last_packet_at: Option<Instant>,
    size: Option<(u32, u32)>,
    bps: Option<u32>,
    window: Option<(Instant, u32)>,
}

impl Layer {
    /// A packet came. True if the layer was silent before.
    pub(super) fn packet(&mut self, now: Instant, bytes: usize, size: Option<(u32, u32)>) -> bool {
        let was_active = self.is_active(now);
        self.last_packet_at = Some(now);
        self.size = size.or(self.size);
        let bits = u32::try_from(bytes * 8).unwrap_or(u32::MAX);
        let (began, sum) = self.window.get_or_insert((now, 0));
        let elapsed = now.saturating_duration_since(*began);
        if elapsed >= RATE_WINDOW {
            let measured = u64::from(*sum) * 1_000
                / u64::try_from(elapsed.as_millis())
                    .unwrap_or(u64::MAX)
                    .max(1);
            let measured = u32::try_from(measured).unwrap_or(u32::MAX);
            // Half old, half new: a key frame is no new rate.
            self.bps = Some(
                self.bps
                    .map_or(measured, |before| before / 2 + measured / 2),
            );
            self.window = Some((now, bits));
        } else {
            *sum = sum.saturating_add(bits);
        }
        !was_active
    }

    /// Whether the publisher sends it.
    pub(super) fn is_active(&self, now: Instant) -> bool {
        self.last_packet_at
            .is_some_and(|at| now.saturating_duration_since(at) < SILENT_TIME)
    }
}

/// Bits per second of layer `index`: measured, or at most so many times what was measured of one below, or usual. An easy
/// picture would otherwise wait for a line that carries a hard one.
pub(super) fn rate(layers: &[Layer; LAYERS], index: usize) -> u32 {
    let inferred = || {
        let below = (0..index).rev();
        let (steps, bps) = below
            .zip(1..)
            .find_map(|(other, steps)| Some((steps, layers[other].bps?)))?;
        Some(bps.saturating_mul(STEP_MAX.pow(steps)))
    };
    let usual = NOMINAL_BPS[index];
    layers[index]
        .bps
        .unwrap_or_else(|| inferred().map_or(usual, |bps| bps.min(usual)))
}

/// Pixels of layer `index`: known, or inferred from another (each doubles the one below), or usual.
fn size(layers: &[Layer; LAYERS], index: usize) -> (u32, u32) {
    if let Some(size) = layers[index].size {
        return size;
    }
    let known = layers
        .iter()
        .enumerate()
        .rev()
        .find_map(|(other, layer)| Some((other, layer.size?)));
    let Some((other, (width, height))) = known else {
        return NOMINAL[index];
    };
    let scaled = |pixels: u32| {
        if other > index {
            pixels >> (other - index)
        } else {
            pixels << (index - other)
        }
    };
    (scaled(width), scaled(height))
}

/// The layer that fits best to `view`, whether or not it is sent now.
pub(super) fn ideal(view: View, layers: &[Layer; LAYERS]) -> usize {
    let wanted = u64::from(view.width) * u64::from(view.height);
    if wanted == 0 {
        return LAYERS - 1;
    }
    let fills = |&index: &usize| {
        let (width, height) = size(layers, index);
        u64::from(width) * u64::from(height) * FILLS.1 >= wanted * FILLS.0
    };
    (0..LAYERS).find(fills).unwrap_or(LAYERS - 1)
}

/// One feed that a viewer wants.
pub(super) struct Demand<'a> {
    /// What can be shown.
    pub(super) view: View,
    /// What the publisher sends.
    pub(super) layers: &'a [Layer; LAYERS],
    /// What is forwarded now: gets the benefit of the doubt.
    pub(super) current: Option<usize>,
}

/// The layers sent now that are not above the best, best first; if all are above, the lowest of them.
pub(super) fn candidates(now: Instant, demand: &Demand<'_>) -> Vec<usize> {
    let best = ideal(demand.view, demand.layers);
    let active = |&index: &usize| demand.layers[index].is_active(now);
    let below: Vec<_> = (0..=best).rev().filter(active).collect();
    if below.is_empty() {
        (best + 1..LAYERS).find(active).into_iter().collect()
    } else {
        below
    }
}

/// Shares `budget_bps` among `demands`, in their order: everybody's lowest layer first, then better ones turn by turn.
/// `None` where nothing is sent or nothing is left.
pub(super) fn allocate(
    now: Instant,
    budget_bps: u64,
    demands: &[Demand<'_>],
) -> Vec<Option<usize>> {
    let choices: Vec<_> = demands
        .iter()
        .map(|demand| candidates(now, demand))
        .collect();
    let cost = |demand: usize, layer: usize| {
        let full = u64::from(rate(demands[demand].layers, layer));
        // What runs already stays until it is clearly too much.
        if demands[demand].current == Some(layer) {
            full * 9 / 10
        } else {
            full
        }
    };
    let mut left = budget_bps;
    let mut chosen: Vec<Option<usize>> = vec![None; demands.len()];
    for (demand, choice) in choices.iter().enumerate() {
        let Some(&lowest) = choice.last() else {
            continue;
        };
        let need = cost(demand, lowest);
        if need <= left {
            left = left.saturating_sub(need);
            chosen[demand] = Some(choice.len() - 1);
        }
    }
    // Each turn every feed may rise by one layer.
    for _ in 1..LAYERS {
        for (demand, choice) in choices.iter().enumerate() {
            let Some(rank) = chosen[demand].filter(|&rank| rank > 0) else {
                continue;
            };
            let more = cost(demand, choice[rank - 1]).saturating_sub(cost(demand, choice[rank]));
            if more <= left {
                left -= more;
                chosen[demand] = Some(rank - 1);
            }
        }
    }
    chosen
        .iter()
        .zip(&choices)
        .map(|(rank, choice)| rank.map(|rank| choice[rank]))
        .collect()
}

/// Width and height from the clear beginning of a VP8 key frame (RFC 6386 section 9.1); `frame` begins after the payload
/// descriptor. The protocol leaves these 10 bytes clear.
pub(super) fn key_frame_size(frame: &[u8]) -> Option<(u32, u32)> {
    let header: &[u8; 10] = frame.first_chunk()?;
    let is_key_frame = header[0] & 1 == 0 && header[3..6] == [0x9d, 0x01, 0x2a];
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let (width, height) = (side(header[6], header[7]), side(header[8], header[9]));
    (is_key_frame && width > 0 && height > 0).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(width: u32, height: u32) -> View {
        View {
            width,
            height,
            fps: 30,
        }
    }

    fn sending(
        now: Instant,
        which: [bool; LAYERS],
        size_of_h: Option<(u32, u32)>,
    ) -> [Layer; LAYERS] {
        let mut layers = [Layer::default(); LAYERS];
        for (index, layer) in layers
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| which[*index])
        {
            let scale = LAYERS - 1 - index;
            layer.packet(
                now,
                100,
                size_of_h.map(|(width, height)| (width >> scale, height >> scale)),
            );
        }
        layers
    }

    #[test]
    fn the_smallest_layer_that_fills_the_view_fits_best() {
        let unknown = [Layer::default(); LAYERS];
        for (wanted, best) in [
            ((0, 0), 2),
            ((80, 60), 0),
            ((320, 240), 0),
            ((400, 300), 1),
            ((720, 720), 2),
            ((4_000, 4_000), 2),
        ] {
            assert_eq!(
                ideal(view(wanted.0, wanted.1), &unknown),
                best,
                "{wanted:?}"
            );
        }
        let small = sending(Instant::now(), [false, false, true], Some((320, 180)));
        for (wanted, best) in [
            ((80, 45), 0),
            ((160, 90), 1),
            ((320, 180), 2),
            ((170, 90), 1),
        ] {
            assert_eq!(ideal(view(wanted.0, wanted.1), &small), best, "{wanted:?}");
        }
    }

    #[test]
    fn only_what_is_sent_is_chosen() {
        let now = Instant::now();
        let choose = |which, wanted| {
            let layers = sending(now, which, None);
            allocate(
                now,
                u64::MAX,
                &[Demand {
                    view: wanted,
                    layers: &layers,
                    current: None,
                }],
            )[0]
        };
        assert_eq!(choose([true, true, true], view(320, 240)), Some(0));
        assert_eq!(
            choose([true, false, true], view(640, 480)),
            Some(0),
            "the next lower one"
        );
        assert_eq!(
            choose([false, false, true], view(320, 240)),
            Some(2),
            "better too large than nothing"
        );
        assert_eq!(choose([false, true, true], view(320, 240)), Some(1));
        assert_eq!(choose([false; 3], view(320, 240)), None);
        let layers = sending(now, [true; 3], None);
        assert!(!layers[0].is_active(now + SILENT_TIME));
    }

    #[test]
    fn a_small_line_gets_lower_layers_and_then_fewer_feeds() {
        let now = Instant::now();
        let layers = sending(now, [true; 3], None);
        let demands: Vec<_> = (0..3)
            .map(|_| Demand {
                view: view(0, 0),
                layers: &layers,
                current: None,
            })
            .collect();
        let share = |budget| allocate(now, budget, &demands);
        assert_eq!(share(10_000_000), [Some(2); 3]);
        assert_eq!(share(1_000_000), [Some(1); 3]);
        assert_eq!(share(1_700_000), [Some(2), Some(1), Some(1)]);
        assert_eq!(share(450_000), [Some(1), Some(0), Some(0)]);
        assert_eq!(share(299_999), [Some(0), Some(0), None]);
        assert_eq!(share(0), [None; 3]);
    }

    #[test]
    fn what_runs_is_not_dropped_for_a_little() {
        let now = Instant::now();
        let layers = sending(now, [true; 3], None);
        let share = |current| {
            let demand = Demand {
                view: view(0, 0),
                layers: &layers,
                current,
            };
            allocate(now, 1_100_000, &[demand])[0]
        };
        assert_eq!((share(None), share(Some(2))), (Some(1), Some(2)));
    }

    #[test]
    fn rates_are_measured() {
        let start = Instant::now();
        let mut layers = [Layer::default(); LAYERS];
        assert_eq!(rate(&layers, 1), 250_000);
        for step in 0..200_u32 {
            layers[1].packet(start + Duration::from_millis(10) * step, 1_000, None);
        }
        let bps = rate(&layers, 1);
        assert!((700_000..900_000).contains(&bps), "{bps}");
    }

    #[test]
    fn the_size_is_read_from_key_frames_only() {
        let mut frame = [0x10, 2, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x40, 9, 9];
        assert_eq!(key_frame_size(&frame), Some((320, 180)));
        assert_eq!(key_frame_size(&frame[..9]), None);
        frame[0] = 0x11;
        assert_eq!(key_frame_size(&frame), None);
    }
}
