//! Opus: 48 kHz mono, 20 ms packets, constant bitrate.
//!
//! Constant, since the sizes of variable packets tell through any encryption what language is spoken and which
//! phrases (White, Matthews, Snow, Monrose: "Phonotactic Reconstruction of Encrypted VoIP Conversations", 2011).

use opus::{Application, Bitrate, Channels};

use super::{AudioDecoder, AudioEncoder, CodecError};
use crate::frame::{BLOCK_SAMPLES, Block, SAMPLE_RATE_HZ};
use crate::sound_policy::SoundSettings;

/// Bits per second of sound: wideband speech without audible loss.
pub const BITRATE_BPS: i32 = 32_000;
/// 9 of 10: the last step costs more time than anybody hears.
const COMPLEXITY: i32 = 9;
/// At 24 kbit/s and an announced loss of 5 % the library puts no protection in at all: below this it is not worth saying.
const LOSS_PERCENT_MIN: u8 = 10;
/// More protection than for this leaves too little for the sound itself.
const LOSS_PERCENT_MAX: u8 = 40;
/// Largest packet (RFC 6716 §3.2.1: 1275 bytes a frame; up to 120 ms in frames of 20 ms).
const PACKET_BYTES_MAX: usize = 6 * 1276;
/// Samples of the longest packet, 120 ms (RFC 6716 §2.1.4).
pub const PACKET_SAMPLES_MAX: usize = 5_760;

/// How many samples at 48 kHz a packet holds; `None` if it is damaged.
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<usize> {
    if packet.is_empty() {
        return None;
    }
    opus::packet::get_nb_samples(packet, SAMPLE_RATE_HZ).ok()
}

/// Blocks to Opus packets.
pub struct Encoder {
    inner: opus::Encoder,
    loss_percent: u8,
    bitrate_bps: u32,
}

impl Encoder {
    /// An encoder for a clean link.
    ///
    /// # Errors
    /// The library did not start.
    pub fn new() -> Result<Self, CodecError> {
        let start = || {
            let mut inner = opus::Encoder::new(SAMPLE_RATE_HZ, Channels::Mono, Application::Voip)?;
            inner.set_bitrate(Bitrate::Bits(BITRATE_BPS))?;
            inner.set_vbr(false)?;
            inner.set_complexity(COMPLEXITY)?;
            inner.set_inband_fec(false)?;
            inner.set_packet_loss_perc(0)?;
            Ok(inner)
        };
        Ok(Self {
            inner: start().map_err(|error| failed(&error))?,
            loss_percent: 0,
            bitrate_bps: BITRATE_BPS.unsigned_abs(),
        })
    }

    /// Encodes 20, 40 or 60 ms into one packet.
    ///
    /// # Errors
    /// The library failed, or the length is another; the next may be tried.
    pub fn encode_samples(&mut self, samples: &[f32]) -> Result<Vec<u8>, CodecError> {
        self.inner
            .encode_vec_float(samples, PACKET_BYTES_MAX)
            .map_err(|error| failed(&error))
    }

    /// Sends as these settings say from the next packet on; copies are not the encoder's.
    pub fn apply(&mut self, settings: &SoundSettings) {
        self.set_loss(settings.announced_loss_percent);
        if settings.bitrate_bps == self.bitrate_bps {
            return;
        }
        self.bitrate_bps = settings.bitrate_bps;
        let bits = i32::try_from(settings.bitrate_bps).unwrap_or(BITRATE_BPS);
        if let Err(error) = self.inner.set_bitrate(Bitrate::Bits(bits)) {
            tracing::warn!(%error, bits, "the Opus encoder keeps its former rate");
        }
    }
}

impl AudioEncoder for Encoder {
    fn encode(&mut self, block: &Block) -> Result<Vec<u8>, CodecError> {
        self.encode_samples(block)
    }

    fn set_loss(&mut self, percent: u8) {
        let announced = if percent == 0 {
            0
        } else {
            percent.clamp(LOSS_PERCENT_MIN, LOSS_PERCENT_MAX)
        };
        if announced == self.loss_percent {
            return;
        }
        self.loss_percent = announced;
        let set = self
            .inner
            .set_inband_fec(announced > 0)
            .and_then(|()| self.inner.set_packet_loss_perc(announced.into()));
        if let Err(error) = set {
            tracing::warn!(%error, announced, "the Opus encoder keeps its former protection");
        }
    }
}

fn failed(error: &opus::Error) -> CodecError {
    CodecError::Library {
        codec: "Opus",
        message: error.to_string(),
    }
}

/// Opus packets to sound.
pub struct Decoder {
    inner: opus::Decoder,
    scratch: Box<[f32; PACKET_SAMPLES_MAX]>,
    /// Samples of the last packet: what a lost one is taken to have had.
    duration: usize,
}

impl Decoder {
    /// A decoder that has heard nothing.
    ///
    /// # Errors
    /// The library did not start.
    pub fn new() -> Result<Self, CodecError> {
        let inner =
            opus::Decoder::new(SAMPLE_RATE_HZ, Channels::Mono).map_err(|error| failed(&error))?;
        Ok(Self {
            inner,
            scratch: Box::new([0.0; PACKET_SAMPLES_MAX]),
            duration: BLOCK_SAMPLES,
        })
    }

    /// Appends what the library made, or as much silence if it refused: time must go on.
    fn made_up(&mut self, made: opus::Result<usize>, sound: &mut Vec<f32>) -> usize {
        match made {
            Ok(samples) => sound.extend_from_slice(&self.scratch[..samples]),
            Err(_) => sound.resize(sound.len() + self.duration, 0.0),
        }
        made.unwrap_or(self.duration)
    }
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, packet: &[u8], sound: &mut Vec<f32>) -> Result<usize, CodecError> {
        if packet.is_empty() || packet.len() > PACKET_BYTES_MAX {
            return Err(CodecError::Damaged(format!(
                "a sound packet of {} bytes",
                packet.len()
            )));
        }
        let decoded = self
            .inner
            .decode_float(packet, self.scratch.as_mut_slice(), false);
        let samples = decoded.map_err(|error| CodecError::Damaged(error.to_string()))?;
        self.duration = samples;
        sound.extend_from_slice(&self.scratch[..samples]);
        Ok(samples)
    }

    fn duration(&self, packet: &[u8]) -> Option<usize> {
        packet_samples(packet)
    }

    fn conceal(&mut self, sound: &mut Vec<f32>) -> usize {
        let made = self
            .inner
            .decode_float(&[], &mut self.scratch[..self.duration], false);
        self.made_up(made, sound)
    }

    fn decode_fec(&mut self, next: &[u8], sound: &mut Vec<f32>) -> usize {
        if next.is_empty() || next.len() > PACKET_BYTES_MAX {
            return self.conceal(sound);
        }
        let made = self
            .inner
            .decode_float(next, &mut self.scratch[..self.duration], true);
        self.made_up(made, sound)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A voice-like buzz that no two blocks have in common.
    fn speech(blocks: usize) -> Vec<Block> {
        let sample = |index: usize| {
            let time = index as f32 / SAMPLE_RATE_HZ as f32;
            // 120 Hz, moving 10 Hz up and down.
            let phase = std::f32::consts::TAU * (120.0 * time - 10.0 / 3.0 * (time * 3.0).cos());
            (1..20)
                .map(|harmonic| (phase * harmonic as f32).sin() / harmonic as f32)
                .sum::<f32>()
                * 0.15
        };
        (0..blocks)
            .map(|block| std::array::from_fn(|index| sample(block * BLOCK_SAMPLES + index)))
            .collect()
    }

    /// Signal to noise, in dB, at the best delay of up to 10 ms (the codec looks ahead).
    fn snr_db(want: &[f32], got: &[f32]) -> f32 {
        let length = want.len() - 480;
        let snr = |delay: usize| {
            let energy: f32 = want[..length].iter().map(|sample| sample * sample).sum();
            let noise: f32 = want[..length]
                .iter()
                .zip(&got[delay..])
                .map(|(one, other)| (one - other).powi(2))
                .sum();
            10.0 * (energy / noise).log10()
        };
        (0..480).step_by(4).map(snr).fold(f32::MIN, f32::max)
    }

    #[test]
    fn speech_survives_and_every_packet_has_the_same_size() {
        let (mut encoder, mut decoder) = (
            Encoder::new().expect("starts"),
            Decoder::new().expect("starts"),
        );
        let speech = speech(50);
        let mut sound = Vec::new();
        for block in &speech {
            let packet = encoder.encode(block).expect("encodes");
            assert_eq!(
                (packet.len(), decoder.duration(&packet)),
                (80, Some(BLOCK_SAMPLES))
            );
            assert_eq!(
                decoder.decode(&packet, &mut sound).expect("decodes"),
                BLOCK_SAMPLES
            );
        }
        let snr = snr_db(&speech.concat()[9_600..], &sound[9_600..]);
        // A speech coder keeps the wave only roughly; unrelated sound is below 0 dB.
        assert!(snr > 4.0, "{snr} dB");
    }

    #[test]
    fn settings_change_rate_and_length_of_packets_and_the_rate_stays_constant() {
        let mut encoder = Encoder::new().expect("starts");
        let speech = speech(40).concat();
        for (bitrate_bps, blocks, bytes) in [(32_000, 1, 80), (22_400, 1, 56), (16_000, 2, 80)] {
            encoder.apply(&SoundSettings {
                bitrate_bps,
                blocks,
                ..SoundSettings::default()
            });
            for samples in speech.chunks_exact(BLOCK_SAMPLES * usize::from(blocks)) {
                let packet = encoder.encode_samples(samples).expect("encodes");
                assert_eq!(
                    (packet.len(), packet_samples(&packet)),
                    (bytes, Some(samples.len()))
                );
            }
        }
        assert!(
            encoder.encode_samples(&speech[..100]).is_err(),
            "no packet is of 2 ms"
        );
    }

    #[test]
    fn a_lost_packet_comes_back_from_the_next_one_once_loss_was_announced() {
        let speech = speech(60);
        let energy_of_error = |loss_percent: u8| {
            let (mut encoder, mut decoder) = (
                Encoder::new().expect("starts"),
                Decoder::new().expect("starts"),
            );
            let mut reference = Decoder::new().expect("starts");
            encoder.set_loss(loss_percent);
            let packets: Vec<_> = speech
                .iter()
                .map(|block| encoder.encode(block).expect("encodes"))
                .collect();
            let (mut sound, mut whole) = (Vec::new(), Vec::new());
            for (index, packet) in packets.iter().enumerate() {
                reference.decode(packet, &mut whole).expect("decodes");
                match index % 10 {
                    5 => assert_eq!(
                        decoder.decode_fec(&packets[index + 1], &mut sound),
                        BLOCK_SAMPLES
                    ),
                    _ => assert_eq!(
                        decoder.decode(packet, &mut sound).expect("decodes"),
                        BLOCK_SAMPLES
                    ),
                }
            }
            let error: f32 = whole
                .iter()
                .zip(&sound)
                .map(|(one, other)| (one - other).powi(2))
                .sum();
            error / whole.iter().map(|sample| sample * sample).sum::<f32>()
        };
        let (without, with) = (energy_of_error(0), energy_of_error(1));
        assert!(
            with < without / 2.0,
            "error {with} with FEC, {without} without"
        );
    }

    #[test]
    fn concealment_lasts_as_long_as_a_packet_and_fades() {
        let (mut encoder, mut decoder) = (
            Encoder::new().expect("starts"),
            Decoder::new().expect("starts"),
        );
        let mut sound = Vec::new();
        for block in &speech(10) {
            decoder
                .decode(&encoder.encode(block).expect("encodes"), &mut sound)
                .expect("decodes");
        }
        sound.clear();
        for _ in 0..25 {
            assert_eq!(decoder.conceal(&mut sound), BLOCK_SAMPLES);
        }
        let level = |block: &[f32]| {
            block
                .iter()
                .fold(0.0f32, |peak, sample| peak.max(sample.abs()))
        };
        assert!(
            level(&sound[..BLOCK_SAMPLES]) > 0.05 && level(&sound[24 * BLOCK_SAMPLES..]) < 0.01
        );
    }

    proptest! {
        #[test]
        fn no_packet_makes_the_decoder_panic(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8)) {
            let mut decoder = Decoder::new().expect("starts");
            let mut sound = Vec::new();
            for packet in &packets {
                let before = sound.len();
                let appended = decoder.decode(packet, &mut sound).unwrap_or(0);
                prop_assert_eq!(sound.len(), before + appended);
                let _ = decoder.duration(packet);
                decoder.decode_fec(packet, &mut sound);
                decoder.conceal(&mut sound);
            }
        }
    }
}
