//! Figures of one direction, and of one person in the call of a group.

use serde::Serialize;

/// What came from one person since joining the call of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PersonFigures {
    /// The number in this call.
    pub participant: u32,
    /// As the group knows this member.
    pub name: String,
    /// Frames of sound that came and opened.
    pub audio_frames: u64,
    /// Sound played of it, 20 ms for each frame.
    pub audio_ms: u64,
    /// Frames of the camera that came and opened.
    pub video_frames: u64,
    /// Pictures of the camera decoded.
    pub video_decoded: u64,
    /// Pictures of the screen decoded.
    pub screen_decoded: u64,
    /// Width of the last picture of the camera, pixels.
    pub width: u32,
    /// Height of the last picture of the camera, pixels.
    pub height: u32,
    /// How often the media key of this person was made anew, modulo 256; `None` before the first frame.
    pub epoch: Option<u8>,
    /// Frames that did not open.
    pub undecryptable: u64,
    /// Sound made up because it did not come in time; part of `audio_ms`.
    pub concealed_ms: u64,
    /// How long sound of this person waits here before it is played.
    pub delay_ms: u64,
    /// Freezes of the camera's picture (W3C rule).
    pub freezes: u64,
    /// Their time in all.
    pub freeze_ms: u64,
    /// Share of this person's sound of the last second that was made up, 0..=1; `None` where none was played.
    pub made_up: Option<f64>,
    /// How far pictures were shown from their sound, the middle one lately: negative when sound was late.
    pub skew_ms: Option<i64>,
    /// 95 of 100 pictures of the whole call were off by no more, either way.
    pub skew_p95_ms: Option<u64>,
}

/// One direction of one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of datagrams.
    pub bytes: u64,
    /// Share of packets lost, 0..=1, when known.
    pub loss: Option<f64>,
    /// Interarrival jitter, when known.
    pub jitter_ms: Option<f64>,
    /// How long packets stand in queues on the way, when known.
    pub queue_ms: Option<f64>,
    /// Bits per second of datagrams.
    pub bitrate_bps: u64,
    /// Audio frames.
    pub audio_frames: u64,
    /// Video frames.
    pub video_frames: u64,
    /// Bits per second of video before packets.
    pub video_bitrate_bps: u64,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Freezes since the call began (W3C rule), receiving only.
    pub freezes: u64,
    /// Time in those freezes, receiving only.
    pub freeze_ms: u64,
    /// Sound made up for what was missing, receiving only, since the call began.
    pub concealed_ms: u64,
    /// Requests to send packets again: the far side's of what we sent, ours of what came. Since the call began.
    pub nacks: u64,
    /// Key frames asked for, receiving only, since the call began.
    pub keyframe_requests: u64,
    /// Bits per second of sound with its copies before packets.
    pub audio_bitrate_bps: u64,
    /// How long sound waits before it is played, and how long it should, receiving only, with a contact.
    pub sound_delay_ms: Option<u64>,
    /// See `sound_delay_ms`.
    pub sound_target_ms: Option<u64>,
    /// How far pictures were from their sound, the middle one of this second: negative when sound was late. With a contact.
    pub skew_ms: Option<i64>,
    /// 95 of 100 pictures of this second were off by no more, either way.
    pub skew_p95_ms: Option<u64>,
}
