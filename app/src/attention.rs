//! Getting somebody's attention for a call, and giving it up the moment nobody needs it any more.
//!
//! [`Attention`] is told after every event how things stand and says what to start and what to stop; it knows no
//! terminal, sound device or bus. Because it compares what is with what was, an alert ends however the ringing ended:
//! answered here, answered on another screen, taken back, or given up.

use serde::Deserialize;

pub mod alerts;
pub mod desktop;
pub mod hook;
pub mod ring;
pub mod terminal;

/// Between two bells of one call, milliseconds.
const BELL_EVERY_MS: u64 = 4_000;
/// Bells for one call: who did not come by then is not there, and others may be.
const BELLS_MAX: u32 = 6;

/// Which ways may be used; a table `[attention]` of the configuration. All are on unless switched off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionSettings {
    /// The terminal's bell.
    pub bell: bool,
    /// The window's title.
    pub title: bool,
    /// A notification by the terminal itself (OSC 9, 99 or 777).
    pub terminal: bool,
    /// A notification of the desktop, where there is one.
    pub desktop: bool,
    /// A ring sound.
    pub ring: bool,
    /// Program and arguments to run for a call; it gets one JSON object on its standard input, and SIGTERM when the
    /// ringing is over.
    pub on_incoming: Vec<String>,
}

impl Default for AttentionSettings {
    fn default() -> Self {
        Self {
            bell: true,
            title: true,
            terminal: true,
            desktop: true,
            ring: true,
            on_incoming: Vec::new(),
        }
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As shown everywhere; may hold anything a contact's name may hold.
    pub name: String,
    /// With pictures.
    pub video: bool,
    /// Whether the words were compared.
    pub verified: bool,
}

impl Caller {
    /// "Video call" or "Call", and whether one can be sure of who it is.
    fn words(&self) -> String {
        let kind = if self.video { "Video call" } else { "Call" };
        let trust = if self.verified { "" } else { " (not verified)" };
        format!("{kind} from {}{trust}", self.name)
    }
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// Who rings here and waits for an answer.
    pub caller: Option<Caller>,
    /// A call is under way: a second one asks softly.
    pub is_in_call: bool,
    /// The user looks at this window, as far as the terminal says so.
    pub is_focused: bool,
    /// Missed calls and unread messages not looked at yet.
    pub unseen: u32,
}

/// One thing to start or stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// Ring the terminal's bell once.
    Bell,
    /// The window's title from now on.
    Title(String),
    /// Let the terminal notify.
    Terminal {
        /// One line.
        text: String,
    },
    /// Take that back, where the terminal can.
    TerminalEnd,
    /// Let the desktop notify.
    Desktop {
        /// First line.
        title: String,
        /// What can be done.
        body: String,
    },
    /// Take that back.
    DesktopEnd,
    /// Ring until told to stop.
    Ring {
        /// A short beep now and then, because somebody talks.
        soft: bool,
    },
    /// Stop ringing.
    RingEnd,
    /// Run the user's program.
    Hook(Caller),
    /// End it, if it still runs.
    HookEnd,
}

/// The machine; see the module.
pub struct Attention {
    settings: AttentionSettings,
    /// What counts from the next ringing on: what has begun ends as it began.
    next: Option<AttentionSettings>,
    ringing: Option<Ringing>,
    title: Option<String>,
}

struct Ringing {
    caller: Caller,
    soft: bool,
    bells: u32,
    bell_at_ms: u64,
    has_note: bool,
}

impl Attention {
    /// Nobody calls yet.
    #[must_use]
    pub fn new(settings: AttentionSettings) -> Self {
        Self {
            settings,
            next: None,
            ringing: None,
            title: None,
        }
    }

    /// Other ways count, as soon as nobody rings.
    pub fn change(&mut self, settings: AttentionSettings) {
        self.next = Some(settings);
    }

    /// What to start and stop, now that things stand like this. Call it after every change and at [`Self::due_ms`].
    #[must_use]
    pub fn look(&mut self, now_ms: u64, situation: &Situation) -> Vec<Alert> {
        let mut alerts = Vec::new();
        if self.ringing.is_none()
            && let Some(next) = self.next.take()
        {
            self.settings = next;
        }
        if self.ringing.as_ref().map(|ringing| &ringing.caller) != situation.caller.as_ref() {
            self.stop(&mut alerts);
            if let Some(caller) = &situation.caller {
                self.start(now_ms, caller, situation, &mut alerts);
            }
        }
        self.go_on(now_ms, situation, &mut alerts);
        self.set_title(situation, &mut alerts);
        alerts
    }

    /// When [`Self::look`] has something to do although nothing changed, milliseconds since the program's start.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        let ringing = self.ringing.as_ref()?;
        (self.settings.bell && ringing.bells < BELLS_MAX).then_some(ringing.bell_at_ms)
    }

    fn start(
        &mut self,
        now_ms: u64,
        caller: &Caller,
        situation: &Situation,
        alerts: &mut Vec<Alert>,
    ) {
        // Who looks at the banner needs no second one beside it.
        let has_note = !situation.is_focused;
        self.ringing = Some(Ringing {
            caller: caller.clone(),
            soft: situation.is_in_call,
            bells: 0,
            bell_at_ms: now_ms,
            has_note,
        });
        let settings = &self.settings;
        if has_note && settings.terminal {
            let text = caller.words();
            alerts.push(Alert::Terminal { text });
        }
        if has_note && settings.desktop {
            alerts.push(Alert::Desktop {
                title: caller.words(),
                body: "Answer it in the window where Hullo runs.".to_owned(),
            });
        }
        if settings.ring {
            let soft = situation.is_in_call;
            alerts.push(Alert::Ring { soft });
        }
        if !settings.on_incoming.is_empty() {
            alerts.push(Alert::Hook(caller.clone()));
        }
    }

    fn go_on(&mut self, now_ms: u64, situation: &Situation, alerts: &mut Vec<Alert>) {
        let Some(ringing) = &mut self.ringing else {
            return;
        };
        if self.settings.bell && ringing.bells < BELLS_MAX && now_ms >= ringing.bell_at_ms {
            ringing.bells += 1;
            ringing.bell_at_ms = now_ms + BELL_EVERY_MS;
            alerts.push(Alert::Bell);
        }
        if self.settings.ring && ringing.soft != situation.is_in_call {
            ringing.soft = situation.is_in_call;
            let soft = ringing.soft;
            alerts.extend([Alert::RingEnd, Alert::Ring { soft }]);
        }
    }

    fn stop(&mut self, alerts: &mut Vec<Alert>) {
        let Some(ringing) = self.ringing.take() else {
            return;
        };
        let settings = &self.settings;
        let ends = [
            (settings.terminal && ringing.has_note, Alert::TerminalEnd),
            (settings.desktop && ringing.has_note, Alert::DesktopEnd),
            (settings.ring, Alert::RingEnd),
            (!settings.on_incoming.is_empty(), Alert::HookEnd),
        ];
        let begun = ends.into_iter().filter(|(was_begun, _)| *was_begun);
        alerts.extend(begun.map(|(_, end)| end));
    }

    fn set_title(&mut self, situation: &Situation, alerts: &mut Vec<Alert>) {
        if !self.settings.title {
            return;
        }
        let title = match (&situation.caller, situation.unseen) {
            (Some(caller), _) => format!("CALL {} - hullo", caller.name),
            (None, _) if situation.is_in_call => "in call - hullo".to_owned(),
            (None, 0) => "hullo".to_owned(),
            (None, unseen) => format!("({unseen}) hullo"),
        };
        if self.title.as_ref() != Some(&title) {
            self.title = Some(title.clone());
            alerts.push(Alert::Title(title));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Caller {
        Caller {
            name: "Ann".to_owned(),
            video: true,
            verified: false,
        }
    }

    fn rings() -> Situation {
        Situation {
            caller: Some(ann()),
            ..Situation::default()
        }
    }

    fn all() -> Attention {
        Attention::new(AttentionSettings {
            on_incoming: vec!["true".to_owned()],
            ..AttentionSettings::default()
        })
    }

    #[test]
    fn a_call_starts_everything_once_and_its_end_stops_everything() {
        let mut attention = all();
        let started = attention.look(0, &rings());
        let title = "Video call from Ann (not verified)".to_owned();
        assert_eq!(
            started,
            [
                Alert::Terminal {
                    text: title.clone()
                },
                Alert::Desktop {
                    title,
                    body: "Answer it in the window where Hullo runs.".to_owned()
                },
                Alert::Ring { soft: false },
                Alert::Hook(ann()),
                Alert::Bell,
                Alert::Title("CALL Ann - hullo".to_owned()),
            ]
        );
        assert_eq!(attention.look(10, &rings()), []);
        let answered = Situation {
            is_in_call: true,
            ..Situation::default()
        };
        assert_eq!(
            attention.look(20, &answered),
            [
                Alert::TerminalEnd,
                Alert::DesktopEnd,
                Alert::RingEnd,
                Alert::HookEnd,
                Alert::Title("in call - hullo".to_owned()),
            ]
        );
        assert_eq!(attention.due_ms(), None);
    }

    #[test]
    fn what_is_switched_off_while_it_rings_still_ends() {
        let mut attention = all();
        let _ = attention.look(0, &rings());
        attention.change(AttentionSettings {
            ring: false,
            bell: false,
            ..AttentionSettings::default()
        });
        let ended = attention.look(10, &Situation::default());
        assert!(ended.contains(&Alert::RingEnd), "{ended:?}");
        let again = attention.look(20, &Situation::default());
        assert!(again.is_empty());
        let rung = attention.look(30, &rings());
        assert!(!rung.contains(&Alert::Bell) && !rung.contains(&Alert::Ring { soft: false }));
    }

    #[test]
    fn the_bell_rings_six_times_and_rests() {
        let mut attention = all();
        let mut bells = 0;
        let mut now_ms = 0;
        for _ in 0..100 {
            let alerts = attention.look(now_ms, &rings());
            bells += alerts.iter().filter(|alert| **alert == Alert::Bell).count();
            now_ms = attention.due_ms().unwrap_or(now_ms + 1_000);
        }
        assert_eq!(bells, 6);
    }

    #[test]
    fn another_caller_is_announced_anew() {
        let mut attention = all();
        let _ = attention.look(0, &rings());
        let mut other = rings();
        other.caller = Some(Caller {
            name: "Bob".to_owned(),
            ..ann()
        });
        let alerts = attention.look(1, &other);
        let ended = alerts.iter().position(|alert| *alert == Alert::RingEnd);
        let begun = alerts
            .iter()
            .position(|alert| matches!(alert, Alert::Ring { .. }));
        assert!(ended.is_some() && ended < begun, "{alerts:?}");
    }

    #[test]
    fn whoever_looks_and_talks_is_asked_softly() {
        let mut attention = all();
        let mut looks = rings();
        (looks.is_focused, looks.is_in_call) = (true, true);
        let alerts = attention.look(0, &looks);
        assert!(alerts.contains(&Alert::Ring { soft: true }), "{alerts:?}");
        let noted = |alert: &Alert| matches!(alert, Alert::Terminal { .. } | Alert::Desktop { .. });
        assert!(!alerts.iter().any(noted), "{alerts:?}");
        looks.is_in_call = false;
        assert_eq!(
            attention.look(1, &looks),
            [Alert::RingEnd, Alert::Ring { soft: false }]
        );
    }

    #[test]
    fn what_is_switched_off_never_starts_nor_stops() {
        let mut attention = Attention::new(AttentionSettings {
            bell: false,
            title: false,
            terminal: false,
            desktop: false,
            ring: false,
            on_incoming: Vec::new(),
        });
        assert_eq!(attention.look(0, &rings()), []);
        assert_eq!(attention.look(1, &Situation::default()), []);
        assert_eq!(attention.due_ms(), None);
    }

    #[test]
    fn missed_calls_stand_in_the_title() {
        let mut attention = all();
        let mut situation = Situation {
            unseen: 2,
            ..Situation::default()
        };
        assert_eq!(
            attention.look(0, &situation),
            [Alert::Title("(2) hullo".to_owned())]
        );
        situation.unseen = 0;
        assert_eq!(
            attention.look(1, &situation),
            [Alert::Title("hullo".to_owned())]
        );
    }
}
