//! Which pictures to encode, how large and at what rate: what the others want, as far as the line carries it. Pure.
//!
//! Nobody gets more than somebody wants; sound has its share before any picture; when the line is short, higher layers
//! go before lower ones.

use hullo_proto::service::sfu::{LayersWanted, View};

use crate::codec::vp8;
use crate::group_session::Layer;
use crate::scale::fit;

/// Bits per second kept for sound: 32 kbit/s of Opus and 50 packets a second with 90 bytes of headers and seals.
pub const SOUND_BPS: u64 = 70_000;
/// Part of the estimate that is used, in percent: the estimator overshoots by 10 to 40 %, and repairs want room too.
const USED_PERCENT: u64 = 80;
/// Of what is left for pictures the screen has this part first, in percent: whoever shows it talks about it.
const SCREEN_PERCENT: u64 = 60;
/// Bits of a pixel beyond which a talking head does not look better, in hundredths.
const CENTIBITS_PER_PIXEL_MAX: u64 = 15;
/// Bits of a pixel under which a layer is only blocks, in thousandths: then the next lower one serves better.
const MILLIBITS_PER_PIXEL_MIN: u64 = 15;
/// Bits per second of the screen at most.
const SCREEN_BPS_MAX: u32 = 1_500_000;

/// How one layer is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// Pixels across and down.
    pub size: (u32, u32),
    /// Bits per second aimed at.
    pub bitrate_bps: u32,
}

/// What the line leaves for pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureBudget {
    /// Bits per second for all layers of the camera.
    pub camera_bps: u32,
    /// Bits per second for the screen.
    pub screen_bps: u32,
}

/// Everything, at any size: what is wanted where no SFU tells.
#[must_use]
pub fn everything_wanted() -> LayersWanted {
    LayersWanted {
        camera: [true; 3],
        camera_view: View::default(),
        screen: Some(View::default()),
    }
}

/// Shares what the line carries, in bits per second, between sound (first), screen and camera.
#[must_use]
pub fn share(estimate_bps: u64, camera: bool, screen: bool) -> PictureBudget {
    let pictures = (estimate_bps / 100)
        .saturating_mul(USED_PERCENT)
        .saturating_sub(SOUND_BPS);
    let screen_bps = match (camera, screen) {
        (_, false) => 0,
        (false, true) => pictures,
        (true, true) => (pictures / 100 * SCREEN_PERCENT).min(SCREEN_BPS_MAX.into()),
    };
    let camera_bps = if camera { pictures - screen_bps } else { 0 };
    let narrow = |bps: u64| u32::try_from(bps).unwrap_or(u32::MAX);
    PictureBudget {
        camera_bps: narrow(camera_bps),
        screen_bps: narrow(screen_bps),
    }
}

/// The camera's layers: of a source with `source` pixels and `rate_fps` pictures a second, for those who want `wanted`,
/// within `budget_bps`. The high layer is as large as the largest view asks for (0: the source's size), the others a half
/// and a quarter of that, which is what an SFU takes them for.
#[must_use]
pub fn plan_camera(
    source: (u32, u32),
    wanted: &LayersWanted,
    rate_fps: u32,
    budget_bps: u32,
) -> [Option<LayerPlan>; 3] {
    let full = view_size(source, wanted.camera_view);
    let rate_fps = view_rate(rate_fps, wanted.camera_view);
    let mut left = u64::from(budget_bps);
    let mut plans = [None; 3];
    for (index, layer) in Layer::ALL.into_iter().enumerate() {
        if !wanted.camera[index] {
            continue;
        }
        let scale = layer.scale_down();
        let size = fit(full, full.0 / scale, full.1 / scale);
        let most = u64::from(layer.bitrate_bps_max());
        plans[index] = plan(size, rate_fps, most, left);
        left =
            left.saturating_sub(plans[index].map_or(0, |plan: LayerPlan| plan.bitrate_bps.into()));
    }
    // Somebody looks, and every layer they asked for is more than the line carries: better small than nothing.
    if plans == [None; 3] && wanted.camera.contains(&true) {
        let scale = Layer::Low.scale_down();
        let size = fit(full, full.0 / scale, full.1 / scale);
        plans[0] = plan(size, rate_fps, Layer::Low.bitrate_bps_max().into(), left);
    }
    plans
}

/// The screen, for those who want to see it in `view`; none: nobody does, or the line carries nothing of use.
#[must_use]
pub fn plan_screen(
    source: (u32, u32),
    view: Option<View>,
    rate_fps: u32,
    budget_bps: u32,
) -> Option<LayerPlan> {
    let view = view?;
    let size = view_size(source, view);
    let rate_fps = view_rate(rate_fps, view);
    plan(size, rate_fps, SCREEN_BPS_MAX.into(), budget_bps.into())
}

/// Pictures a second for `view`, of a source with `rate_fps`.
#[must_use]
pub fn view_rate(rate_fps: u32, view: View) -> u32 {
    match view.fps {
        0 => rate_fps,
        wanted => wanted.min(rate_fps),
    }
    .clamp(1, vp8::RATE_FPS_MAX)
}

fn view_size(source: (u32, u32), view: View) -> (u32, u32) {
    let most = |asked: u32| if asked == 0 { u32::MAX } else { asked };
    fit(source, most(view.width), most(view.height))
}

fn plan(size: (u32, u32), rate_fps: u32, most_bps: u64, left_bps: u64) -> Option<LayerPlan> {
    let pixels = u64::from(size.0) * u64::from(size.1) * u64::from(rate_fps);
    let most = most_bps
        .min(pixels * CENTIBITS_PER_PIXEL_MAX / 100)
        .max(vp8::BITRATE_BPS_MIN.into());
    let least = (pixels * MILLIBITS_PER_PIXEL_MIN / 1_000).max(vp8::BITRATE_BPS_MIN.into());
    let bitrate = most.min(left_bps);
    (bitrate >= least.min(most)).then(|| LayerPlan {
        size,
        bitrate_bps: u32::try_from(bitrate).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(camera: [bool; 3], width: u32, height: u32) -> LayersWanted {
        LayersWanted {
            camera,
            camera_view: View {
                width,
                height,
                fps: 0,
            },
            screen: None,
        }
    }

    fn sizes(plans: [Option<LayerPlan>; 3]) -> [Option<(u32, u32)>; 3] {
        plans.map(|plan| plan.map(|plan| plan.size))
    }

    #[test]
    fn only_what_is_wanted_is_planned_and_no_larger_than_anybody_shows() {
        let plan = |wanted: &LayersWanted| sizes(plan_camera((640, 360), wanted, 30, 2_000_000));
        assert_eq!(plan(&LayersWanted::default()), [None; 3]);
        assert_eq!(
            plan(&everything_wanted()),
            [Some((160, 90)), Some((320, 180)), Some((640, 360))]
        );
        assert_eq!(
            plan(&wanted([false, false, true], 200, 112)),
            [None, None, Some((198, 112))]
        );
        assert_eq!(
            plan(&wanted([true, false, true], 320, 180)),
            [Some((80, 44)), None, Some((320, 180))]
        );
    }

    #[test]
    fn a_short_line_loses_the_high_layers_first_and_the_last_one_stays_small() {
        let all = everything_wanted();
        let which = |bps| plan_camera((1_280, 720), &all, 30, bps).map(|plan| plan.is_some());
        assert_eq!(which(2_000_000), [true, true, true]);
        assert_eq!(which(360_000), [true, true, false]);
        assert_eq!(which(120_000), [true, false, false]);
        assert_eq!(which(5_000), [false, false, false]);
        let high = wanted([false, false, true], 0, 0);
        let plan = plan_camera((1_280, 720), &high, 30, 60_000);
        assert_eq!(sizes(plan), [Some((320, 180)), None, None]);
    }

    #[test]
    fn sound_has_its_share_before_any_picture() {
        assert_eq!(share(80_000, true, true), PictureBudget::default());
        let both = share(1_000_000, true, true);
        assert_eq!(both.camera_bps + both.screen_bps, 730_000);
        assert!(both.screen_bps > both.camera_bps);
        assert_eq!(share(1_000_000, true, false).camera_bps, 730_000);
        assert_eq!(share(1_000_000, false, true).screen_bps, 730_000);
    }

    #[test]
    fn the_screen_is_planned_for_its_largest_view() {
        let view = View {
            width: 800,
            height: 600,
            fps: 5,
        };
        let plan = plan_screen((1_920, 1_080), Some(view), 30, 900_000);
        assert_eq!(plan.map(|plan| plan.size), Some((800, 450)));
        assert_eq!(plan_screen((1_920, 1_080), None, 30, 900_000), None);
    }

    proptest! {
        #[test]
        fn any_wish_is_planned_within_the_budget(
            source in (16_u32..5_000, 16_u32..5_000), view in (any::<u32>(), any::<u32>(), any::<u32>()),
            layers: [bool; 3], rate_fps in 0_u32..300, budget: u32,
        ) {
            let (width, height, fps) = view;
            let wanted = LayersWanted { camera: layers, camera_view: View { width, height, fps }, screen: None };
            let plans = plan_camera(source, &wanted, rate_fps, budget);
            let sum: u64 = plans.iter().flatten().map(|plan| u64::from(plan.bitrate_bps)).sum();
            prop_assert!(sum <= budget.into());
            for plan in plans.iter().flatten() {
                prop_assert!(plan.size.0 <= source.0.max(16) && plan.size.1 <= source.1.max(16));
                prop_assert!(plan.size.0 >= 16 && plan.size.1 >= 16);
            }
        }
    }
}
