//! Sound and pictures: devices, codecs, jitter buffer, the call session.
//!
//! A [`source`] gives pictures and blocks of sound, a [`codec`] makes frames of them, the [`pipeline`] threads move
//! them; the [`jitter`] buffer orders what arrives and a [`sink`] plays it. Only devices, files and the pipeline
//! threads touch the outside world; everything else is handed its time.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests begin their virtual clock at one real reading, and a failed one says where"
    )
)]

pub mod clock;
pub mod codec;
pub mod device;
pub mod follow;
pub mod frame;
pub mod group_session;
pub mod jitter;
pub mod layers;
pub mod level;
pub mod lip_sync;
pub mod mix;
pub mod pace;
pub mod pipeline;
pub mod playout;
pub mod process;
pub mod quiet;
pub mod rate;
pub mod reach;
pub mod redundancy;
pub mod resample;
pub mod scale;
pub mod sdp;
pub mod session;
pub mod sink;
pub mod slot;
pub mod sound;
pub mod sound_link;
pub mod sound_policy;
pub mod source;
pub mod thread;
