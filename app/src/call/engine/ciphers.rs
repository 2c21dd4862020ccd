//! The frame ciphers of one call.

use hullo_media::session::Track;
use hullo_proto::call::CallKeys;
use hullo_proto::frame::{Opener, Sealer};

/// Seals what leaves, opens what comes, one key for each direction and track.
pub(super) struct Ciphers {
    pub(super) seal_audio: Sealer,
    pub(super) seal_video: Sealer,
    pub(super) open_audio: Opener,
    pub(super) open_video: Opener,
}

impl Ciphers {
    pub(super) fn new(keys: &CallKeys) -> Self {
        let context = keys.context();
        Self {
            seal_audio: Sealer::new(context, Track::Audio.mid()),
            seal_video: Sealer::new(context, Track::Video.mid()),
            open_audio: Opener::new(context, Track::Audio.mid()),
            open_video: Opener::new(context, Track::Video.mid()),
        }
    }
}
