//! What one participant sends, by name.

use hullo_proto::group::media_frame::Track;

/// A simulcast layer of the camera (protocol facts, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// A quarter of the full size across and down.
    Low,
    /// Half of it.
    Middle,
    /// The full size.
    High,
}

impl Layer {
    /// All, the lowest first: the order of [`LayersWanted::camera`](hullo_proto::service::sfu::LayersWanted::camera).
    pub const ALL: [Self; 3] = [Self::Low, Self::Middle, Self::High];

    /// Its RTP stream id (RFC 8852).
    #[must_use]
    pub fn rid(self) -> &'static str {
        match self {
            Self::Low => "l",
            Self::Middle => "m",
            Self::High => "h",
        }
    }

    /// By how much the full size is divided, across and down.
    #[must_use]
    pub fn scale_down(self) -> u32 {
        match self {
            Self::Low => 4,
            Self::Middle => 2,
            Self::High => 1,
        }
    }

    /// Bits per second at most.
    #[must_use]
    pub fn bitrate_bps_max(self) -> u32 {
        match self {
            Self::Low => 100_000,
            Self::Middle => 250_000,
            Self::High => 1_200_000,
        }
    }
}

/// One stream of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnTrack {
    /// Opus.
    Microphone,
    /// VP8, one layer of it.
    Camera(Layer),
    /// VP8, without layers.
    Screen,
}

impl OwnTrack {
    /// All that one participant can send.
    pub const ALL: [Self; 5] = [
        Self::Microphone,
        Self::Camera(Layer::Low),
        Self::Camera(Layer::Middle),
        Self::Camera(Layer::High),
        Self::Screen,
    ];

    /// The track that the frames are sealed for.
    #[must_use]
    pub fn track(self) -> Track {
        match self {
            Self::Microphone => Track::Microphone,
            Self::Camera(_) => Track::Camera,
            Self::Screen => Track::Screen,
        }
    }
}
