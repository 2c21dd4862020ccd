//! Words about sound: what is done to it, how loud it is, and the figures of `hullo test`.

use super::on_off;
use crate::event::{Levels, SoundPart};
use crate::sound_test::SoundFigures;

/// Said on the screen to somebody who talks while muted.
pub(crate) const TALKS_MUTED: &str = "You are muted: nobody hears you. {mute} lets you be heard.";
/// The same for whoever types commands.
pub(crate) const TALKS_MUTED_PLAIN: &str =
    "You are muted: nobody hears you. The command `unmute` lets you be heard.";

/// What a part of the processing of sound is called.
pub(crate) const fn sound_part(part: SoundPart) -> &'static str {
    match part {
        SoundPart::Echo => "Echo cancellation",
        SoundPart::Noise => "Noise suppression",
        SoundPart::Gain => "Gain control",
    }
}

/// The line of the palette that switches it.
pub(crate) fn switch_sound_part(part: SoundPart, is_on: bool) -> String {
    let words = sound_part(part).to_lowercase();
    format!("switch {words} {}", on_off(!is_on))
}

/// That it is on or off now.
pub(crate) fn sound_part_is(part: SoundPart, is_on: bool) -> String {
    format!("{} is {}.", sound_part(part), on_off(is_on))
}

/// The first line of `hullo test` in a terminal.
pub(crate) const TEST_BEGINS: &str =
    "Speak: you hear yourself a moment later. Enter (or q and Enter) or Ctrl-C ends the test.";
pub(crate) const NO_MIC: &str = "NO MICROPHONE";
/// Said to somebody who wants to be heard and began without a microphone.
pub(crate) const NO_MIC_CHOSEN: &str =
    "You chose to have no microphone: nobody hears you. Begin again without `--mic none`.";
pub(crate) const NO_SPEAKER: &str = "NO SPEAKER";

/// Devices that are away, in sentences.
pub(crate) fn devices_gone(levels: Option<Levels>) -> Vec<String> {
    let levels = levels.unwrap_or_default();
    let mic = (levels.mic_gone).then_some(
        "NO MICROPHONE: nobody hears you. Attach one, or choose another in the settings.",
    );
    let speaker = (levels.speaker_gone)
        .then_some("NO SPEAKER: you hear nobody. Attach one, or choose another in the settings.");
    mic.into_iter().chain(speaker).map(str::to_owned).collect()
}

/// A meter of so many cells.
pub(crate) fn meter(level: u8) -> String {
    let (full, all) = (usize::from(level), usize::from(Levels::MAX));
    format!("[{}{}]", "=".repeat(full), "-".repeat(all - full.min(all)))
}

/// The microphone's in the bar of a call.
pub(crate) fn mic_meter(levels: Levels) -> String {
    format!("mic {}", meter(levels.mic))
}

/// The speaker's.
pub(crate) fn speaker_meter(levels: Levels) -> String {
    format!("speaker {}", meter(levels.speaker))
}

/// The moving line of `hullo test`.
pub(crate) fn test_meters(levels: Levels, figures: &SoundFigures, is_flat: bool) -> String {
    let mic = if is_flat {
        "no sound yet".to_owned()
    } else {
        meter(levels.mic)
    };
    format!(
        "microphone {mic}  speaker {}  delay {:.0} ms  lost {}  CPU {:.0} %",
        meter(levels.speaker),
        figures.delay_ms,
        figures.lost,
        figures.cpu_percent
    )
}

/// The figures of `hullo test` in a sentence.
pub(crate) fn test_figures(figures: &SoundFigures) -> String {
    let echo = match (figures.echo_return_loss_db, figures.echo_reduction_db) {
        (Some(loss), Some(reduction)) => {
            format!("; echo {loss:.0} dB quieter than played, {reduction:.0} dB more taken out")
        }
        _ => String::new(),
    };
    format!(
        "Microphone {:.0} dB, speaker {:.0} dB, delay {:.0} ms, lost {} of {} packets, made up {} ms{echo}, CPU {:.1} %.",
        figures.mic_db,
        figures.speaker_db,
        figures.delay_ms,
        figures.lost,
        figures.packets,
        figures.concealed_ms,
        figures.cpu_percent
    )
}

/// A microphone that gives nothing at all; the names of those there are.
pub(crate) fn flat_microphone(others: &[String]) -> String {
    let choice = if others.is_empty() {
        "The system names no others".to_owned()
    } else {
        format!("There are: {}", others.join(", "))
    };
    format!(
        "The microphone gives no sound at all, its meter is flat: it is muted in the system or by a switch of its own, or it \
         is not the one you speak into. {choice}; choose one with --mic device:NAME."
    )
}
