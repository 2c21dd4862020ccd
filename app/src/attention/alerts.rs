//! Carries alerts out: the one place that holds what must be stopped again.

use hullo_media::source::SpeakerSpec;

use super::desktop::Desktop;
use super::hook::Hook;
use super::ring::Ring;
use super::terminal::{Notifier, title};
use super::{Alert, AttentionSettings};

/// Whatever is sounding, shown or running now. Dropping it stops all of it.
pub struct Alerts {
    command: Vec<String>,
    speaker: Option<SpeakerSpec>,
    notifier: Notifier,
    desktop: Desktop,
    ring: Option<Ring>,
    hook: Option<Hook>,
}

/// What an alert needs from the front end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Ring the bell.
    Bell,
    /// Write this sequence, between two drawings.
    Sequence(String),
    /// Tell the user.
    Words(String),
}

impl Alerts {
    /// Nothing sounds yet. `speaker`: where calls sound.
    #[must_use]
    pub fn new(
        settings: &AttentionSettings,
        speaker: Option<SpeakerSpec>,
        variable: impl Fn(&str) -> Option<String> + Copy,
    ) -> Self {
        Self {
            command: settings.on_incoming.clone(),
            speaker,
            notifier: Notifier::detect(variable),
            desktop: Desktop::detect(variable),
            ring: None,
            hook: None,
        }
    }

    /// Does it, or says what the front end has to do.
    pub fn carry_out(&mut self, alert: Alert) -> Option<Ask> {
        match alert {
            Alert::Bell => return Some(Ask::Bell),
            Alert::Title(text) => return Some(Ask::Sequence(title(&text))),
            Alert::Terminal { text } => return self.notifier.note(&text).map(Ask::Sequence),
            Alert::TerminalEnd => return self.notifier.end().map(Ask::Sequence),
            Alert::Desktop { title, body } => self.desktop.show(title, body),
            Alert::DesktopEnd => self.desktop.end(),
            Alert::Ring { soft } => self.ring = Some(Ring::start(self.speaker.clone(), soft)),
            Alert::RingEnd => self.ring = None,
            Alert::Hook(caller) => match Hook::start(&self.command, &caller) {
                Ok(hook) => self.hook = Some(hook),
                Err(words) => return Some(Ask::Words(words)),
            },
            Alert::HookEnd => self.hook = None,
        }
        None
    }
}
