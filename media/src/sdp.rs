//! Stand-in until the writer and parser land.
/// Kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind { /// o
 Offer, /// a
 Answer }
/// Setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup { /// ap
 ActPass, /// a
 Active, /// p
 Passive }
/// Track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackDescription { /// pt
 pub payload_type: Option<u8>, /// rtx
 pub rtx_payload_type: Option<u8>, /// ssrc
 pub ssrc: Option<u32>, /// rtx
 pub rtx_ssrc: Option<u32> }
/// Description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description { /// k
 pub kind: Kind, /// u
 pub ice_ufrag: String, /// p
 pub ice_pwd: String, /// f
 pub fingerprint: [u8; 32], /// s
 pub setup: Setup, /// t
 pub tracks: [TrackDescription; 4], /// c
 pub side_channel: bool }
