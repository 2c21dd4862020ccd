//! What is done to the sound of the microphone, the meters, and talking while muted.

use hullo_media::process::Processing;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::event::{Levels, Settings, SoundPart};

#[test]
fn echo_noise_and_gain_are_switched_and_remembered_until_they_are_as_the_file_says() {
    let mut model = Model::new(Mode::Screen, Look::default());
    model.layers.setup.sound_given.noise = false;
    assert!(model.is_processed(SoundPart::Echo) && !model.is_processed(SoundPart::Noise));
    let effects = update(
        &mut model,
        Event::Command(Command::Process(SoundPart::Echo, Switch::Toggle)),
    );
    let wanted = Processing {
        echo: false,
        noise: false,
        gain: true,
    };
    assert!(effects.contains(&Effect::Process(wanted)), "{effects:?}");
    assert_eq!(model.settings.echo, Some(false));
    let words = model.message.as_ref().map(|message| message.text.clone());
    assert_eq!(words.as_deref(), Some("Echo cancellation is off."));
    let _ = update(
        &mut model,
        Event::Command(Command::Process(SoundPart::Echo, Switch::On)),
    );
    assert_eq!(model.settings.echo, None, "follows the file again");
}

#[test]
fn the_command_line_goes_before_what_is_remembered_and_a_switch_before_both() {
    let mut model = Model::new(Mode::Screen, Look::default());
    model.layers.setup.sound_flags = [None, Some(true), None];
    let settings = Settings {
        noise: Some(false),
        gain: Some(false),
        ..Settings::default()
    };
    let effects = update(&mut model, Event::Settings(settings));
    let begun = Processing {
        gain: false,
        ..Processing::ALL
    };
    assert!(effects.contains(&Effect::Process(begun)), "{effects:?}");
    let _ = update(
        &mut model,
        Event::Command(Command::Process(SoundPart::Noise, Switch::Off)),
    );
    assert!(!model.is_processed(SoundPart::Noise));
}

#[test]
fn who_talks_while_muted_is_told_with_the_key_that_unmutes() {
    let mut program = Program::talking();
    let talks = || Event::Call(THE_CALL, CallEvent::TalksMuted);
    let told = |program: &Program| {
        let is_told = |effect: &&Effect| matches!(effect, Effect::Report(Report::Notice { text }) if text.contains("unmute"));
        program.effects.iter().filter(is_told).count()
    };
    program.take(talks());
    assert_eq!(told(&program), 0, "whoever is heard is not muted");
    program.take(Event::Call(
        THE_CALL,
        CallEvent::Own {
            mic_muted: true,
            camera_on: true,
            on_hold: false,
        },
    ));
    program.take(talks());
    assert_eq!(told(&program), 1);
    let words = program
        .model
        .message
        .as_ref()
        .map(|message| message.text.clone());
    let words = words.unwrap_or_default();
    assert!(words.contains("nobody hears you. m lets"), "{words}");
}

#[test]
fn meters_stand_in_the_bar_of_a_call() {
    let mut program = Program::talking();
    let levels = Levels::of(-30.0, -100.0);
    assert_eq!((levels.mic, levels.speaker), (4, 0));
    program.take(Event::Call(THE_CALL, CallEvent::Levels(levels)));
    program.take(Event::Resize(120, 30));
    let mut terminal = Terminal::new(TestBackend::new(120, 30)).expect("a test terminal");
    terminal
        .draw(|frame| crate::view::view(&program.model, frame))
        .expect("draws");
    let shown = terminal.backend().to_string();
    assert!(shown.contains("mic [====----]"), "{shown}");
    assert!(shown.contains("speaker [--------]"), "{shown}");
}

#[test]
fn what_is_said_at_the_start_outlasts_the_beginning_of_a_call() {
    let mut program = Program::ready();
    let words = "Pixels are not shown here.";
    program.take(Event::Notice(words.to_owned()));
    let call = Command::Call("bob".to_owned(), Media::Video);
    program.take(Event::Command(call));
    assert!(program.model.call.is_some());
    let message = program.model.message.as_ref();
    assert_eq!(message.map(|message| message.text.as_str()), Some(words));
    assert!(message.is_some_and(|message| !message.is_error));
}
