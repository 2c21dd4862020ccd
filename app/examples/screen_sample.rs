//! The screen with canned events instead of a network: to look at it, and to try what leaves the terminal whole.
//!
//! `cargo run -p hullo --example screen_sample -- [empty|contacts|incoming|call|muted|panic]`. In a call the far side
//! moves; the keys work, as far as there is somebody to answer them.

// The example is a shell: it reads the clock, as the program's loop does.
#![allow(
    clippy::disallowed_methods,
    reason = "the edge of the program, where time comes from"
)]
#![allow(clippy::print_stderr, reason = "said after the screen was given back")]

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use hullo::effect::Effect;
use hullo::event::{CallEvent, CallNumber, CallState, Contact, ContactId, Event, Media, Party};
use hullo::model::{Mode, Model};
use hullo::screen::{PictureTerminal, Screen};
use hullo::terminal::{self, Arrival, Entered};
use hullo::update::update;
use hullo::view::look::{ColourChoice, Look};
use hullo_media::frame::Picture;

const BOB: ContactId = ContactId(2);
/// There is one call at most.
const CALL: CallNumber = CallNumber(1);

fn main() -> std::io::Result<()> {
    let scene = std::env::args().nth(1).unwrap_or_else(|| "call".to_owned());
    let look = Look::detect(ColourChoice::Auto, |name| std::env::var(name).ok());
    let mut model = Model::new(Mode::Screen, look);
    let (send, events) = channel();
    for event in script(&scene) {
        send.send(event)
            .expect("the receiver lives in this function");
    }
    let signals = send.clone();
    terminal::spawn_signals(move |event| signals.send(event).is_ok())?;
    let entered = Entered::enter()?;
    let (columns, rows) = crossterm::terminal::size()?;
    send.send(Event::Resize(columns, rows))
        .expect("the receiver lives in this function");
    terminal::spawn_input(move |arrival| match arrival {
        Arrival::Event(event) => send.send(event).is_ok(),
        Arrival::Reply(..) => true,
    })?;
    let status = run(&mut model, &events, scene == "panic")?;
    drop(entered);
    if let Some(words) = model.last_words() {
        eprintln!("{words}");
    }
    std::process::exit(i32::from(status));
}

fn run(
    model: &mut Model,
    events: &std::sync::mpsc::Receiver<Event>,
    panics: bool,
) -> std::io::Result<u8> {
    let terminal = PictureTerminal {
        is_colour_chosen: true,
        ..PictureTerminal::default()
    };
    let mut screen = Screen::on_stdout(terminal, || ())?;
    let begin = Instant::now();
    let mut pending = Vec::new();
    loop {
        let now_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        assert!(!(panics && now_ms > 1_000), "a panic, as asked for");
        model.set_now(now_ms);
        let event = match pending.pop() {
            Some(event) => event,
            None => match events.recv_timeout(Duration::from_millis(33)) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => Event::Tick,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            },
        };
        let is_tick = matches!(event, Event::Tick);
        for effect in update(model, event) {
            match effect {
                Effect::Quit(status) => return Ok(status),
                Effect::Copy(text) => screen.put_on_clipboard(&text)?,
                effect => pending.extend(answer(effect, model)),
            }
        }
        if is_tick && model.taken_call().is_some_and(|call| call.is_connected()) {
            let picture = Some(Arc::new(picture(now_ms)));
            pending.push(Event::Call(CALL, CallEvent::FarPicture(picture.clone())));
            pending.push(Event::Call(CALL, CallEvent::OwnPicture(picture)));
        }
        screen.mark_changed();
        screen.draw_if_due(now_ms, model)?;
    }
}

/// What a call engine and a server would say to this.
fn answer(effect: Effect, model: &Model) -> Option<Event> {
    let own = model.live_call().map(|call| call.own).unwrap_or_default();
    Some(match effect {
        Effect::StartCall(party, media) => Event::Call(CALL, CallEvent::Started { party, media }),
        Effect::AcceptCall(..) => Event::Call(CALL, CallEvent::State(CallState::Connected)),
        Effect::HangUp(_) | Effect::RejectCall { .. } => {
            let state = CallState::Ended {
                reason: "hung_up",
                words: "you hung up".to_owned(),
                duration: Duration::from_secs(12),
            };
            Event::Call(CALL, CallEvent::State(state))
        }
        Effect::SetMicMuted(_, mic_muted) => own_is(mic_muted, own.camera_on, own.on_hold),
        Effect::SetCamera(_, camera_on) => own_is(own.mic_muted, camera_on, own.on_hold),
        Effect::SetHold(_, on_hold) => own_is(own.mic_muted, own.camera_on, on_hold),
        Effect::Invite => Event::Invited {
            link: format!("hullo:{}", "AbCdEfGhIjKlMnOpQrStUvWxYz".repeat(9)),
        },
        Effect::Add(_) => Event::Failed("This sample knows no server: use `hullo add`.".to_owned()),
        _ => return None,
    })
}

fn own_is(mic_muted: bool, camera_on: bool, on_hold: bool) -> Event {
    let own = CallEvent::Own {
        mic_muted,
        camera_on,
        on_hold,
    };
    Event::Call(CALL, own)
}

fn script(scene: &str) -> Vec<Event> {
    let contact = |id, name: &str, verified, ready| Contact {
        id: ContactId(id),
        name: name.to_owned(),
        short_id: "ABCDEFGH".to_owned(),
        verified,
        ready,
        blocked: false,
        lost: false,
    };
    let mut events = vec![
        Event::Profile {
            name: "carol".to_owned(),
            short_id: "CAROL234".to_owned(),
            key: "A".repeat(43),
            has_server: true,
        },
        Event::Server {
            up: true,
            reason: None,
        },
    ];
    if scene == "empty" {
        events.push(Event::Contacts(Vec::new()));
        return events;
    }
    events.push(Event::Contacts(vec![
        contact(1, "alice", true, true),
        contact(2, "bob", false, true),
        contact(3, "dave", false, false),
    ]));
    if scene == "incoming" {
        events.push(Event::Incoming {
            call: CALL,
            party: Party::Contact(BOB),
            media: Media::Video,
        });
    }
    if matches!(scene, "call" | "muted" | "panic") {
        let is_muted = scene == "muted";
        events.extend(
            [
                CallEvent::Started {
                    party: Party::Contact(BOB),
                    media: Media::Video,
                },
                CallEvent::State(CallState::Connected),
                CallEvent::Own {
                    mic_muted: is_muted,
                    camera_on: true,
                    on_hold: false,
                },
                CallEvent::Far {
                    mic_muted: is_muted,
                    camera_on: true,
                    on_hold: false,
                },
            ]
            .map(|change| Event::Call(CALL, change)),
        );
    }
    events
}

/// A disc that swings over a slope of colours.
fn picture(now_ms: u64) -> Picture {
    let (width, height) = (320u32, 180u32);
    let centre = 160.0 + 90.0 * (now_ms as f64 / 700.0).sin();
    let mut y = Vec::new();
    for row in 0..height {
        for column in 0..width {
            let (dx, dy) = (f64::from(column) - centre, f64::from(row) - 90.0);
            y.push(if dx.hypot(dy) < 45.0 {
                225
            } else {
                40 + (row / 2) as u8
            });
        }
    }
    let chroma = |slope: fn(u32, u32) -> u32| {
        (0..height / 2)
            .flat_map(|row| (0..width / 2).map(move |column| slope(column, row) as u8))
            .collect()
    };
    Picture {
        width,
        height,
        y,
        u: chroma(|column, _| 80 + column / 2),
        v: chroma(|_, row| 90 + row),
    }
}
