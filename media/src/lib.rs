//! Sound and pictures: devices, codecs, jitter buffer, the call session.

pub mod frame;
pub mod sdp;
