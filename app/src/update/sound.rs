//! What is done to the sound of the microphone, how loud it is, and that somebody talks who is muted.

use hullo_media::process::Processing;

use super::settings::Source;
use super::{call, say};
use crate::effect::Effect;
use crate::event::{CallNumber, Levels, Settings, SoundPart, Switch};
use crate::model::Model;
use crate::report::Report;
use crate::text;

impl SoundPart {
    /// Where it is remembered beyond the end of the program.
    pub(super) fn remembered(self, settings: &mut Settings) -> &mut Option<bool> {
        match self {
            Self::Echo => &mut settings.echo,
            Self::Noise => &mut settings.noise,
            Self::Gain => &mut settings.gain,
        }
    }

    /// Whether it is on in this.
    #[must_use]
    pub fn of(self, processing: Processing) -> bool {
        match self {
            Self::Echo => processing.echo,
            Self::Noise => processing.noise,
            Self::Gain => processing.gain,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Echo => 0,
            Self::Noise => 1,
            Self::Gain => 2,
        }
    }
}

impl Model {
    /// Whether a part of the processing is on: what was switched since the start before the command line, that before what
    /// is remembered, and the configuration last.
    #[must_use]
    pub fn is_processed(&self, part: SoundPart) -> bool {
        let mut settings = self.settings.clone();
        let setup = &self.layers.setup;
        let at = part.index();
        (self.layers.sound_switched[at])
            .or(setup.sound_flags[at])
            .or(*part.remembered(&mut settings))
            .unwrap_or(part.of(setup.sound_given))
    }

    /// What is done to the sound of the microphone now.
    #[must_use]
    pub fn processing(&self) -> Processing {
        Processing {
            echo: self.is_processed(SoundPart::Echo),
            noise: self.is_processed(SoundPart::Noise),
            gain: self.is_processed(SoundPart::Gain),
        }
    }
}

/// Where the value of a part comes from.
pub(super) fn source(model: &Model, part: SoundPart) -> Source {
    let (setup, at) = (&model.layers.setup, part.index());
    let mut settings = model.settings.clone();
    let is_remembered = part.remembered(&mut settings).is_some();
    let key = format!("sound.{}", part.word());
    match (model.layers.sound_switched[at], setup.sound_flags[at]) {
        (None, Some(_)) => Source::Flag,
        _ if is_remembered => Source::Here,
        _ if setup.written.contains(&key) => Source::File,
        _ => Source::Default,
    }
}

/// Switches a part on or off, and remembers it.
pub(super) fn set_processing(
    model: &mut Model,
    part: SoundPart,
    switch: Switch,
    effects: &mut Vec<Effect>,
) {
    let is_on = call::switched(switch, model.is_processed(part));
    let at = part.index();
    model.layers.sound_switched[at] = Some(is_on);
    // What is as the file says follows the file again.
    let given = part.of(model.layers.setup.sound_given);
    *part.remembered(&mut model.settings) = (is_on != given).then_some(is_on);
    effects.push(Effect::Process(model.processing()));
    effects.push(Effect::SaveSettings(model.settings.clone()));
    let words = text::sound_part_is(part, is_on);
    effects.push(Effect::Report(Report::Notice {
        text: words.clone(),
    }));
    say(model, words);
}

/// Somebody talks here and is not heard.
pub(super) fn talks_muted(model: &mut Model, number: CallNumber, effects: &mut Vec<Effect>) {
    let is_muted = |model: &Model| {
        let call = model.live_call();
        call.is_some_and(|call| call.number == Some(number) && call.own.mic_muted)
    };
    if !is_muted(model) {
        return;
    }
    effects.push(Effect::Report(Report::Notice {
        text: text::TALKS_MUTED_PLAIN.to_owned(),
    }));
    let words = model.keymap.fill(text::TALKS_MUTED);
    say(model, words);
}

/// How loud it is now.
pub(super) fn levels(model: &mut Model, number: CallNumber, levels: Levels) {
    if let Some(call) = model.numbered_mut(number) {
        call.seat.levels = Some(levels);
    }
}
