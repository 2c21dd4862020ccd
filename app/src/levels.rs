//! How loud it is at both devices, and whether they are there.

/// How loud microphone and loudspeaker are, in steps of a meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// What the microphone hears, 0 to [`Levels::MAX`].
    pub mic: u8,
    /// What the loudspeaker plays, the same.
    pub speaker: u8,
    /// A microphone is wanted and is away: nothing is heard of us.
    pub mic_gone: bool,
    /// The same of the loudspeaker: nothing is heard here.
    pub speaker_gone: bool,
}

impl Levels {
    /// Steps of a meter: 6 dB each, from -54 dB of full scale, which is the noise of a room, to -6, which is loud.
    pub const MAX: u8 = 8;

    /// Steps for these levels, dB of full scale, with both devices there.
    #[must_use]
    pub fn of(mic_db: f32, speaker_db: f32) -> Self {
        // Within 0..=MAX by the clamp.
        let step = |db: f32| ((db + 54.0) / 6.0).ceil().clamp(0.0, f32::from(Self::MAX)) as u8;
        Self {
            mic: step(mic_db),
            speaker: step(speaker_db),
            ..Self::default()
        }
    }
}
