//! What the program decides: keys, commands, calls, leaving.

mod calls;
mod devices;
mod groups;
mod history;
mod layers;
mod once;
mod people;
mod program;
mod seat;
mod sound;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::update;
use crate::effect::Effect;
use crate::event::{
    CallEvent, CallNumber, CallState, Command, Contact, ContactId, Direction, Event, Meanwhile,
    Media, Party, StopReason, Switch,
};
use crate::model::{Mode, Model, Overlay};
use crate::report::Report;
use crate::text;
use crate::view::look::Look;

const ALICE: ContactId = ContactId(1);
const BOB: ContactId = ContactId(2);
const CAROL: ContactId = ContactId(3);
/// Stands for the call that has the devices, or the one that rings.
const THE_CALL: CallNumber = CallNumber(0);
/// The first call that goes out; a call that comes in has the number of its contact.
const OUT: CallNumber = CallNumber(100);

fn contact(id: ContactId, name: &str, ready: bool) -> Contact {
    Contact {
        id,
        name: name.to_owned(),
        short_id: "ABCDEFGH".to_owned(),
        verified: false,
        blocked: false,
        lost: false,
        ready,
    }
}

fn contacts() -> Event {
    Event::Contacts(vec![
        contact(ALICE, "alice", true),
        contact(BOB, "bob", true),
    ])
}

fn server(up: bool) -> Event {
    Event::Server {
        up,
        reason: (!up).then(|| "connection refused".to_owned()),
    }
}

fn state(state: CallState) -> Event {
    Event::Call(THE_CALL, CallEvent::State(state))
}

fn ended(reason: &'static str) -> Event {
    let words = format!("it ended: {reason}");
    state(CallState::Ended {
        reason,
        words,
        duration: std::time::Duration::from_secs(3),
    })
}

fn incoming(contact: ContactId, media: Media) -> Event {
    let (call, party) = (CallNumber(contact.0), Party::Contact(contact));
    Event::Incoming { call, party, media }
}

/// A program, and all it was told to do.
struct Program {
    model: Model,
    effects: Vec<Effect>,
    /// The engine confirms calls that go out.
    confirms: bool,
    last: u64,
}

impl Program {
    fn new(mode: Mode) -> Self {
        Self {
            model: Model::new(mode, Look::default()),
            effects: Vec::new(),
            confirms: true,
            last: OUT.0 - 1,
        }
    }

    /// On a screen, with contacts and a server.
    fn ready() -> Self {
        let mut program = Self::new(Mode::Screen);
        program.take(Event::Resize(80, 24));
        program.take(contacts());
        program.take(server(true));
        program
    }

    /// In a call with bob.
    fn talking() -> Self {
        let mut program = Self::ready();
        program.take(Event::Command(Command::Call(
            "bob".to_owned(),
            Media::Video,
        )));
        program.connect(BOB, Direction::Outgoing);
        program
    }

    /// The effects of one event, reports and what is remembered left out.
    fn take(&mut self, event: Event) -> Vec<Effect> {
        let event = match event {
            Event::Call(THE_CALL, change) => Event::Call(self.number(), change),
            event => event,
        };
        let mut effects = update(&mut self.model, event);
        if let Some(Effect::StartCall(party, media)) = effects
            .iter()
            .find(|effect| self.confirms && matches!(effect, Effect::StartCall(..)))
        {
            let (party, media) = (*party, *media);
            self.last += 1;
            let started = CallEvent::Started { party, media };
            let event = Event::Call(CallNumber(self.last), started);
            effects.extend(update(&mut self.model, event));
        }
        self.effects.extend(effects.iter().cloned());
        effects
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Report(_) | Effect::SaveSettings(_)))
            .collect()
    }

    fn number(&self) -> CallNumber {
        let rings = || self.model.incoming.as_ref().map(|incoming| incoming.call);
        let call = self.model.live_call().and_then(|call| call.number);
        call.or_else(rings).unwrap_or(CallNumber(999))
    }

    fn press(&mut self, character: char) -> Vec<Effect> {
        self.take(Event::Key(KeyEvent::new(
            KeyCode::Char(character),
            KeyModifiers::NONE,
        )))
    }

    fn press_with(&mut self, character: char, modifiers: KeyModifiers) -> Vec<Effect> {
        self.take(Event::Key(KeyEvent::new(
            KeyCode::Char(character),
            modifiers,
        )))
    }

    fn wait(&mut self, ms: u64) -> Vec<Effect> {
        self.model.set_now(self.model.now_ms() + ms);
        self.take(Event::Tick)
    }

    fn connect(&mut self, contact: ContactId, direction: Direction) {
        let call = self.model.live_call().expect("a call");
        let party = Party::Contact(contact);
        assert_eq!((call.party, call.direction), (party, direction));
        for step in [
            CallState::Ringing,
            CallState::Connecting,
            CallState::Connected,
        ] {
            self.take(state(step));
        }
        assert!(
            self.model
                .taken_call()
                .is_some_and(|call| call.is_connected())
        );
    }

    fn says(&self) -> &str {
        self.model
            .message
            .as_ref()
            .map_or("", |message| &message.text)
    }

    fn quit_status(&self) -> Option<u8> {
        let mut statuses = self.effects.iter().filter_map(|effect| match effect {
            Effect::Quit(status) => Some(*status),
            _ => None,
        });
        let status = statuses.next();
        assert_eq!(statuses.next(), None, "left twice");
        status
    }

    fn reports(&self) -> Vec<&Report> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Report(report) => Some(report),
                _ => None,
            })
            .collect()
    }

    fn call_words(&self) -> Vec<&'static str> {
        self.reports()
            .iter()
            .filter_map(|report| match report {
                Report::Call { state, .. } => Some(*state),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn q_leaves_only_without_a_call_and_never_hangs_up() {
    let mut program = Program::talking();
    assert_eq!(program.press('q'), []);
    assert_eq!(program.says(), "A call is running: H hangs up first.");
    assert_eq!(program.press('H'), [Effect::HangUp(OUT)]);
    program.take(ended("hung_up"));
    assert_eq!(program.press('q'), [Effect::Quit(0)]);
}

#[test]
fn q_closes_what_lies_on_top_first() {
    let mut program = Program::ready();
    program.press('?');
    assert!(matches!(program.model.overlay, Some(Overlay::Help(0))));
    assert_eq!(program.press('q'), []);
    assert!(program.model.overlay.is_none());
}

#[test]
fn only_a_takes_a_call_and_not_in_its_first_moment() {
    let mut program = Program::ready();
    let effects = program.take(incoming(BOB, Media::Video));
    assert_eq!(effects, []);
    assert_eq!(program.press('a'), [], "a key already on its way");
    program.wait(500);
    let enter = Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    assert_eq!(program.take(enter), []);
    assert!(program.says().contains("a takes the call, x declines"));
    assert_eq!(program.press('q'), []);
    assert_eq!(program.press('H'), []);
    assert_eq!(program.press('m'), []);
    let effects = program.press('a');
    assert_eq!(effects[0], Effect::AcceptCall(CallNumber(2), Media::Video));
    program.connect(BOB, Direction::Incoming);
    assert!(program.model.incoming.is_none());
}

#[test]
fn a_video_call_can_be_taken_without_camera_and_an_audio_call_stays_one() {
    let mut program = Program::ready();
    program.take(incoming(BOB, Media::Video));
    program.wait(500);
    assert_eq!(
        program.press('s')[0],
        Effect::AcceptCall(CallNumber(2), Media::Audio)
    );

    let mut program = Program::ready();
    program.take(incoming(BOB, Media::Audio));
    assert_eq!(
        program.take(Event::Command(Command::Accept(
            Media::Video,
            Meanwhile::Hold
        )))[0],
        Effect::AcceptCall(CallNumber(2), Media::Audio)
    );
}

#[test]
fn declining_ends_the_ringing() {
    let mut program = Program::ready();
    program.take(incoming(BOB, Media::Audio));
    program.take(state(CallState::Ringing));
    assert_eq!(
        program.press('x'),
        [Effect::RejectCall {
            call: CallNumber(2),
            busy: false
        }]
    );
    program.take(state(CallState::Ringing));
    assert!(
        program.model.incoming.is_none(),
        "late news do not ring again"
    );
    program.take(ended("declined"));
    assert_eq!(program.call_words(), ["ringing", "ended"]);
    assert_eq!(program.press('q'), [Effect::Quit(0)]);
}

#[test]
fn two_quick_presses_of_m_are_two_changes() {
    let mut program = Program::talking();
    assert_eq!(program.press('m'), [Effect::SetMicMuted(OUT, true)]);
    assert_eq!(program.press('m'), [Effect::SetMicMuted(OUT, false)]);
    program.take(Event::Call(
        THE_CALL,
        CallEvent::Own {
            mic_muted: true,
            camera_on: false,
            on_hold: false,
        },
    ));
    assert_eq!(program.press('m'), [Effect::SetMicMuted(OUT, false)]);
    assert_eq!(program.press('v'), [Effect::SetCamera(OUT, true)]);
    let command = Event::Command(Command::Mute(Switch::On));
    assert_eq!(program.take(command), [Effect::SetMicMuted(OUT, true)]);
}

#[test]
fn who_mutes_before_the_call_connects_sees_it_at_once() {
    let mut program = Program::ready();
    program.press('C');
    assert_eq!(program.press('m'), [Effect::SetMicMuted(OUT, true)]);
    let own = program.model.live_call().expect("a call").own;
    assert!(own.mic_muted && own.camera_on);
    assert_eq!(program.press('v'), [Effect::SetCamera(OUT, false)]);
    assert_eq!(program.press('m'), [Effect::SetMicMuted(OUT, false)]);
}

#[test]
fn letters_are_text_while_a_field_has_the_keys() {
    let mut program = Program::talking();
    program.press('A');
    for character in "mvHxq?".chars() {
        assert_eq!(program.press(character), []);
    }
    assert!(
        matches!(&program.model.overlay, Some(Overlay::Add(field)) if field.text() == "mvHxq?")
    );
    assert_eq!(
        program.press_with('m', KeyModifiers::ALT),
        [Effect::SetMicMuted(OUT, true)]
    );
    assert_eq!(
        program.press_with('H', KeyModifiers::ALT | KeyModifiers::SHIFT),
        [Effect::HangUp(OUT)]
    );
    let enter = Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    // The picture that the field lay over is asked for again behind it.
    let added = Effect::Add("mvHxq?".to_owned());
    assert_eq!(program.take(enter).first(), Some(&added));
    assert!(program.model.overlay.is_none());
    // A refused one is not typed again from the start.
    program.take(Event::NotAdded("no such code".to_owned()));
    assert!(
        matches!(&program.model.overlay, Some(Overlay::Add(field)) if field.text() == "mvHxq?")
    );
    assert_eq!(program.says(), "no such code");
}

#[test]
fn a_pasted_link_opens_the_field_and_other_text_does_nothing() {
    let mut program = Program::ready();
    assert_eq!(program.take(Event::Paste("qCiH".to_owned())), []);
    assert!(program.model.overlay.is_none());
    assert_eq!(program.take(Event::Paste("hullo:abc\ndef".to_owned())), []);
    assert!(
        matches!(&program.model.overlay, Some(Overlay::Add(field)) if field.text() == "hullo:abcdef")
    );
}

#[test]
fn an_invitation_is_made_shown_and_copied() {
    let mut program = Program::ready();
    assert_eq!(program.press('i'), [Effect::Invite]);
    assert_eq!(
        program.press('c'),
        [],
        "nothing to copy yet, and no call either"
    );
    program.take(Event::Invited {
        link: "hullo:abc".to_owned(),
    });
    assert_eq!(program.press('c'), [Effect::Copy("hullo:abc".to_owned())]);
    // Told once, together with the code.
    let is_invite = |report: &&Report| matches!(report, Report::Invite { .. });
    assert!(!program.reports().iter().any(is_invite));
    program.take(Event::Code {
        code: "7314-orbit-velvet".to_owned(),
        link: "hullo:7314-orbit-velvet@a:1/AAAA".to_owned(),
    });
    assert!(program.reports().contains(&&Report::Invite {
        link: "hullo:abc".to_owned(),
        code: Some("7314-orbit-velvet".to_owned()),
    }));
}

#[test]
fn without_a_server_an_invitation_is_refused_with_the_way_out() {
    let mut program = Program::ready();
    program.take(Event::Profile {
        name: "carol".into(),
        short_id: "CAROLAAA".into(),
        key: "A".repeat(43),
        has_server: false,
    });
    assert_eq!(program.press('i'), []);
    assert!(program.says().contains("hullo serve"), "{}", program.says());
}

#[test]
fn v_without_a_call_starts_nothing() {
    let mut program = Program::ready();
    assert_eq!(program.press('v'), []);
    assert_eq!(program.says(), "No call is running: C starts a video call.");
    assert_eq!(
        program.press('C')[0],
        Effect::StartCall(Party::Contact(ALICE), Media::Video)
    );
    assert_eq!(
        program.press('c'),
        [],
        "a call that runs is not left by a slip"
    );
}

#[test]
fn a_call_that_never_came_to_be_is_forgotten() {
    let mut program = Program::ready();
    program.confirms = false;
    program.press('c');
    program.take(Event::Failed("No camera.".to_owned()));
    assert!(program.model.call.is_none());
    assert_eq!(program.press('q'), [Effect::Quit(0)]);
}

#[test]
fn an_end_that_is_not_confirmed_comes_after_three_seconds() {
    let mut program = Program::talking();
    program.press('H');
    program.wait(2_999);
    assert!(program.model.live_call().is_some());
    program.wait(1);
    assert!(program.model.live_call().is_none());
    program.take(ended("hung_up"));
    assert_eq!(
        program
            .call_words()
            .iter()
            .filter(|word| **word == "ended")
            .count(),
        1
    );
}

#[test]
fn ctrl_c_asks_once_during_a_call_and_then_says_goodbye() {
    let mut program = Program::talking();
    assert_eq!(program.press_with('c', KeyModifiers::CONTROL), []);
    assert_eq!(
        program.press_with('c', KeyModifiers::CONTROL),
        [Effect::HangUp(OUT)]
    );
    assert_eq!(program.quit_status(), None);
    program.take(ended("hung_up"));
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn a_signal_hangs_up_and_leaves_even_when_the_network_is_dead() {
    let mut program = Program::talking();
    assert_eq!(
        program.take(Event::Stop(StopReason::Signal)),
        [Effect::HangUp(OUT)]
    );
    let due = program.model.deadline_ms().expect("leaving is due");
    program.wait(due - program.model.now_ms());
    assert_eq!(program.quit_status(), Some(0));
}

#[test]
fn the_outside_is_told_each_change_once() {
    let mut program = Program::talking();
    for _ in 0..2 {
        program.take(state(CallState::Connected));
        program.take(Event::Call(
            THE_CALL,
            CallEvent::Far {
                mic_muted: true,
                camera_on: true,
                on_hold: false,
            },
        ));
        program.take(Event::Call(
            THE_CALL,
            CallEvent::Own {
                mic_muted: false,
                camera_on: true,
                on_hold: false,
            },
        ));
        program.take(server(true));
    }
    assert_eq!(program.call_words(), ["ringing", "connecting", "connected"]);
    let far = |change| Report::Participant {
        participant: None,
        change,
        name: "bob".to_owned(),
        on: Some(true),
    };
    let count = |report: &Report| {
        program
            .reports()
            .iter()
            .filter(|told| **told == report)
            .count()
    };
    assert_eq!(count(&far("muted")), 1);
    assert_eq!(count(&far("camera")), 1);
    assert_eq!(
        count(&Report::Own {
            deafened: false,
            talking: false,
            muted: false,
            camera: true,
            hold: false,
            screen: false,
            name: "bob".to_owned(),
        }),
        1
    );
    assert_eq!(
        count(&Report::Server {
            up: true,
            reason: None
        }),
        1
    );
    assert_eq!(
        count(&Report::Notice {
            text: text::IP_WARNING.to_owned()
        }),
        1
    );
}

#[test]
fn the_far_side_is_told_how_large_its_picture_is_drawn() {
    let mut program = Program::ready();
    let effects = program.press('C');
    let Some(Effect::WantPicture(OUT, Some((width, height)))) = effects.last() else {
        panic!("{effects:?}")
    };
    assert!(*width > 40 && *height > 30, "{width}x{height}");
    program.connect(ALICE, Direction::Outgoing);
    assert_eq!(program.take(Event::Tick), []);
    assert_eq!(
        program.take(Event::Resize(30, 6)),
        [Effect::WantPicture(OUT, None)]
    );
    assert!(matches!(
        program.take(Event::Resize(120, 34))[..],
        [Effect::WantPicture(OUT, Some(_))]
    ));
}

#[test]
fn without_a_screen_the_source_decides_the_size() {
    let mut program = Program::new(Mode::Screen);
    program.take(contacts());
    program.take(Event::Command(Command::Call(
        "bob".to_owned(),
        Media::Video,
    )));
    program.connect(BOB, Direction::Outgoing);
    assert!(
        !program
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::WantPicture(..)))
    );
}
