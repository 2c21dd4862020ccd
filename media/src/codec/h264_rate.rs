//! The rates of a running OpenH264 encoder: the one thing that the library's safe face cannot do.
//!
//! Its other way, a new encoder, costs a key frame each time: at the pace of a bandwidth estimate that would be a key
//! frame every second.
#![allow(
    unsafe_code,
    reason = "SetOption of the C library takes a typed pointer through void*"
)]

use std::ptr::from_mut;

use openh264::encoder::Encoder;
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE,
    SBitrateInfo, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL,
};

/// How far single seconds may go above the mean, in percent. Equal limits make the library stay well under the
/// target; a higher one lets bursts through that fill queues.
const PEAK_PERCENT: u64 = 150;
/// What to ask for, in percent of what is wanted: the library goes over its target by half a percent to two.
const AIM_PERCENT: u64 = 98;

/// Aims at `bitrate_bps` from the next picture on; `raised` says whether that is more than before. False when the
/// library refused, whose target is then unknown. The encoder must have encoded a picture.
pub(super) fn set_bitrate(encoder: &mut Encoder, bitrate_bps: u32, raised: bool) -> bool {
    // The library refuses a target above the peak at every moment, so the order depends on the direction.
    let target = (ENCODER_OPTION_BITRATE, aim_bps(bitrate_bps));
    let peak = (ENCODER_OPTION_MAX_BITRATE, peak_bps(bitrate_bps));
    let order = if raised {
        [peak, target]
    } else {
        [target, peak]
    };
    order.into_iter().all(|(option, bps)| {
        // The layer first: the library checks the sum of the layers, which here is the one layer.
        let layers = [SPATIAL_LAYER_0, SPATIAL_LAYER_ALL];
        let layers = if option == ENCODER_OPTION_BITRATE {
            &layers[1..]
        } else {
            &layers[..]
        };
        layers.iter().all(|layer| set(encoder, option, *layer, bps))
    })
}

/// Raises the peak of a new encoder, which starts equal to its target.
pub(super) fn leave_headroom(encoder: &mut Encoder, bitrate_bps: u32) -> bool {
    let peak = peak_bps(bitrate_bps);
    set(encoder, ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, peak)
        && set(encoder, ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_ALL, peak)
}

/// Expects `rate_fps` pictures a second from the next one on. False when the library refused.
pub(super) fn set_rate(encoder: &mut Encoder, mut rate_fps: f32) -> bool {
    // SAFETY: this option takes a pointer to a float (codec_app_def.h), read during the call and not kept; the rest as
    // in `set`.
    unsafe {
        encoder
            .raw_api()
            .set_option(ENCODER_OPTION_FRAME_RATE, from_mut(&mut rate_fps).cast())
            == 0
    }
}

/// What to ask the library for so that it gives `bitrate_bps`.
pub(super) fn aim_bps(bitrate_bps: u32) -> u32 {
    u32::try_from(u64::from(bitrate_bps) * AIM_PERCENT / 100).unwrap_or(u32::MAX)
}

fn peak_bps(bitrate_bps: u32) -> u32 {
    u32::try_from(u64::from(bitrate_bps) * PEAK_PERCENT / 100).unwrap_or(u32::MAX)
}

fn set(encoder: &mut Encoder, option: ENCODER_OPTION, layer: i32, bps: u32) -> bool {
    let Ok(bps) = i32::try_from(bps) else {
        return false;
    };
    let mut info = SBitrateInfo {
        iLayer: layer,
        iBitrate: bps,
    };
    // SAFETY: both options take a pointer to SBitrateInfo (codec_app_def.h), which the library reads during the call
    // and does not keep; the encoder is initialised, as callers have encoded a picture; `&mut` excludes other use.
    unsafe {
        encoder
            .raw_api()
            .set_option(option, from_mut(&mut info).cast())
            == 0
    }
}
