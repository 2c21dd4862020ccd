//! A real camera and a real screen in such a world: the test card through VP8, and its time read back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_media::codec::{VideoDecoder as _, VideoEncoder as _, vp8};
use hullo_media::group_session::Layer;
use hullo_media::layers::LayerPlan;
use hullo_media::scale::Scaler;
use hullo_media::source::CaptureTime;
use hullo_media::source::card::{TestCard, read_time_code, time_code};
use hullo_proto::group::id::ParticipantId;

use super::RATE_FPS;

/// The test card, and an encoder for each layer wanted.
#[derive(Default)]
pub(super) struct Camera {
    card: TestCard,
    layers: [Option<(vp8::Encoder, Scaler)>; 3],
}

impl Camera {
    /// The next picture's frame of a layer; none when the rate control leaves it out.
    pub(super) fn frame(
        &mut self,
        layer: Layer,
        plan: LayerPlan,
        key: bool,
        (now, since): (Instant, Duration),
    ) -> Option<Vec<u8>> {
        let at = CaptureTime {
            elapsed: since,
            clock_us: clock_us(since),
        };
        let picture = self.card.picture(at).expect("an allowed size");
        let (encoder, scaler) = self.layers[layer as usize].get_or_insert_with(|| {
            let encoder = vp8::Encoder::new(vp8::Content::Camera, plan.bitrate_bps, RATE_FPS);
            (encoder, Scaler::default())
        });
        if key {
            encoder.request_keyframe();
        }
        let picture = scaler.scale(&picture, plan.size).expect("an allowed size");
        let frame = encoder.encode(&picture, now).expect("encodes");
        frame.map(|frame| frame.data)
    }
}

/// Decoders of everybody, and what they gave.
#[derive(Default)]
pub struct Screen {
    decoders: BTreeMap<ParticipantId, vp8::Decoder>,
    /// Age of each picture when it was shown, and its pixels across, by whose it is.
    pub shown: BTreeMap<ParticipantId, Vec<(Duration, u32)>>,
}

impl Screen {
    /// Decodes a frame; false when that takes a key frame.
    pub(super) fn show(&mut self, by: ParticipantId, frame: &[u8], since: Duration) -> bool {
        let decoder = self
            .decoders
            .entry(by)
            .or_insert_with(|| vp8::Decoder::new().expect("starts"));
        let Ok(Some(picture)) = decoder.decode(frame) else {
            return false;
        };
        let picture: Arc<_> = picture;
        // The smallest layer has too few pixels for its time to be read.
        if let Some(time) = read_time_code(&picture) {
            let ticks = time_code(clock_us(since)).wrapping_sub(time);
            let age = Duration::from_micros(u64::from(ticks) * 100);
            self.shown.entry(by).or_default().push((age, picture.width));
        }
        true
    }
}

fn clock_us(since: Duration) -> u64 {
    1_790_000_000_000_000 + u64::try_from(since.as_micros()).expect("a short world")
}
