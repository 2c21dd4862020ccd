//! Making sound shorter or longer without changing its pitch: whole periods of the voice are left out or said twice,
//! where two neighbouring ones are alike (WSOLA: Verhelst and Roelands, "An overlap-add technique based on waveform
//! similarity", 1993).

/// Shortest period looked for, in samples: 2.5 ms, a voice of 400 Hz.
pub(super) const LAG_MIN: usize = 120;
/// Longest, 12.5 ms: a voice of 80 Hz.
pub(super) const LAG_MAX: usize = 600;
/// The search looks at every fourth sample first: 12 kHz hold every pitch.
const COARSE: usize = 4;
/// Mean square of sound below -50 dB of full scale: nobody hears what happens to it.
const QUIET_POWER: f32 = 0.003 * 0.003;

/// Leaves one period of at most `lag_max` samples out of the beginning of `sound`, if the two beside it are alike by
/// `alike_min` (0: not at all, 1: the same) or it is quiet. Says how many samples are gone; 0 for none. Needs twice
/// `lag_max` samples.
pub(super) fn shorten(sound: &mut Vec<f32>, lag_max: usize, alike_min: f32) -> usize {
    let lag_max = lag_max.min(LAG_MAX).min(sound.len() / 2);
    if lag_max < LAG_MIN {
        return 0;
    }
    let begin = &sound[..2 * lag_max];
    let lag = if is_quiet(begin) {
        lag_max
    } else {
        let (lag, alike) = best_lag(lag_max, |lag| (&begin[..lag], &begin[lag..2 * lag]));
        if alike < alike_min {
            return 0;
        }
        lag
    };
    for index in 0..lag {
        sound[lag + index] = faded(sound[index], sound[lag + index], index, lag);
    }
    sound.drain(..lag);
    lag
}

/// Says a period twice at the beginning of `sound`; `before` is what was heard until there. Conditions and result as
/// in [`shorten`]: the samples put in. Needs [`LAG_MAX`] samples on both sides for the deepest voices.
pub(super) fn lengthen(before: &[f32], sound: &mut Vec<f32>, alike_min: f32) -> usize {
    let lag_max = LAG_MAX.min(before.len()).min(sound.len());
    if lag_max < LAG_MIN {
        return 0;
    }
    let end = before.len();
    let lag = if is_quiet(&before[end - lag_max..]) && is_quiet(&sound[..lag_max]) {
        lag_max
    } else {
        let (lag, alike) = best_lag(lag_max, |lag| (&before[end - lag..], &sound[..lag]));
        if alike < alike_min {
            return 0;
        }
        lag
    };
    // Begins as what would have followed and ends as what came before it.
    let again: Vec<f32> = (0..lag)
        .map(|index| faded(sound[index], before[end - lag + index], index, lag))
        .collect();
    sound.splice(..0, again);
    lag
}

/// From `from` to `to` over `length` samples.
fn faded(from: f32, to: f32, index: usize, length: usize) -> f32 {
    from + (to - from) * (index as f32 + 0.5) / length as f32
}

fn is_quiet(sound: &[f32]) -> bool {
    let energy: f32 = sound.iter().map(|sample| sample * sample).sum();
    energy <= QUIET_POWER * sound.len() as f32
}

/// The period whose two neighbours, given by `pair`, are most alike, and how much.
fn best_lag<'a>(lag_max: usize, pair: impl Fn(usize) -> (&'a [f32], &'a [f32])) -> (usize, f32) {
    let best_of = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
        lags.map(|lag| {
            let (one, other) = pair(lag);
            (lag, similarity(one, other, step))
        })
        .fold((LAG_MIN, f32::MIN), |best, next| {
            if next.1 > best.1 { next } else { best }
        })
    };
    let (near, _) = best_of(&mut (LAG_MIN..=lag_max).step_by(COARSE), COARSE);
    let around = (near - (COARSE - 1)).max(LAG_MIN)..=(near + COARSE - 1).min(lag_max);
    best_of(&mut around.into_iter(), 1)
}

/// Normalised correlation over every `step`th sample, -1..=1.
fn similarity(one: &[f32], other: &[f32], step: usize) -> f32 {
    let (mut product, mut energies) = (0.0_f32, (0.0_f32, 0.0_f32));
    for (one, other) in one.iter().zip(other).step_by(step) {
        product += one * other;
        energies = (energies.0 + one * one, energies.1 + other * other);
    }
    product / (energies.0 * energies.1).sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice of so many hertz at 48 kHz.
    fn voice(hertz: f32, samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|index| {
                let phase = std::f32::consts::TAU * hertz * index as f32 / 48_000.0;
                0.2 * (phase.sin() + (2.0 * phase).sin() / 2.0 + (3.0 * phase).cos() / 3.0)
            })
            .collect()
    }

    fn steepest(sound: &[f32]) -> f32 {
        sound
            .windows(2)
            .map(|pair| (pair[0] - pair[1]).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn a_voice_loses_and_gains_whole_periods_and_stays_smooth() {
        for hertz in [85.0, 120.0, 230.0, 390.0] {
            let whole = voice(hertz, 4_000);
            let period = 48_000.0 / hertz;
            let is_whole = |lag: usize| {
                let periods = lag as f32 / period;
                (periods - periods.round()).abs() < 0.03 && periods.round() >= 1.0
            };
            let mut sound = whole[960..].to_vec();
            let gone = shorten(&mut sound, LAG_MAX, 0.95);
            assert!(is_whole(gone), "{gone} samples of {hertz} Hz");
            assert_eq!(sound.len(), 3_040 - gone);
            let joined = [&whole[..960], &sound].concat();
            assert!(
                steepest(&joined) < 1.1 * steepest(&whole),
                "{hertz} Hz clicks"
            );
            let mut sound = whole[960..].to_vec();
            let more = lengthen(&whole[..960], &mut sound, 0.95);
            assert!(is_whole(more), "{more} samples of {hertz} Hz");
            let joined = [&whole[..960], &sound].concat();
            assert!(
                steepest(&joined) < 1.1 * steepest(&whole),
                "{hertz} Hz clicks"
            );
        }
    }

    #[test]
    fn what_has_no_period_is_left_alone_unless_it_is_quiet() {
        let mut state = 1_u32;
        let mut noise = |loud: f32| -> Vec<f32> {
            (0..1_920)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    loud * (state as f32 / u32::MAX as f32 - 0.5)
                })
                .collect()
        };
        let mut loud = noise(0.5);
        let before = noise(0.5);
        assert_eq!(shorten(&mut loud, LAG_MAX, 0.8), 0);
        assert_eq!(lengthen(&before, &mut loud, 0.8), 0);
        assert_eq!(loud.len(), 1_920);
        let (mut quiet, before) = (noise(0.001), noise(0.001));
        assert_eq!(shorten(&mut quiet, LAG_MAX, 0.8), LAG_MAX);
        assert_eq!(lengthen(&before, &mut quiet, 0.8), LAG_MAX);
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        for samples in 0..2 * LAG_MIN {
            let mut sound = voice(100.0, samples);
            assert_eq!(shorten(&mut sound, LAG_MAX, -1.0), 0);
            assert_eq!(lengthen(&[0.0; LAG_MIN - 1], &mut sound, -1.0), 0);
            assert_eq!(sound.len(), samples);
        }
    }
}
