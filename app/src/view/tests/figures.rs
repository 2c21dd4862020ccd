//! The figures of a call over its picture.

use super::*;
use crate::report::{Flow, Stats};

/// A call whose line is thin and lossy.
fn with_figures() -> Vec<Event> {
    let stats = Stats {
        sent: Flow {
            packets: 61,
            bitrate_bps: 168_000,
            loss: Some(0.0),
            queue_ms: Some(12.0),
            audio_frames: 50,
            video_frames: 15,
            video_bitrate_bps: 82_000,
            ..Flow::default()
        },
        received: Flow {
            packets: 110,
            bitrate_bps: 412_000,
            loss: Some(0.12),
            queue_ms: Some(3.0),
            jitter_ms: Some(9.0),
            audio_frames: 44,
            video_frames: 28,
            video_bitrate_bps: 301_000,
            width: 640,
            height: 360,
            freezes: 2,
            freeze_ms: 740,
            concealed_ms: 1_260,
            nacks: 31,
            ..Flow::default()
        },
        rtt_ms: Some(84.0),
        estimate_bps: Some(184_000),
        budget_bps: Some(173_000),
        pair: Some("host/host".to_owned()),
        pictures: Some("reduced"),
        words: vec![
            "your upload carries 184 kbit/s: picture reduced".to_owned(),
            "the line from the far side drops 12 %".to_owned(),
        ],
        ..Stats::default()
    };
    let mut events = in_call(false, false);
    events.push(Event::Call(CALL, CallEvent::Stats(Box::new(stats))));
    events
}

#[test]
fn the_figures_stand_over_the_picture_words_first() {
    let mut events = with_figures();
    events.push(letter('s'));
    check("figures", COLOUR, events);
}

#[test]
fn the_same_key_takes_them_away_and_the_end_of_the_call_too() {
    let mut events = with_figures();
    events.extend([letter('s'), letter('s')]);
    assert!(model(COLOUR, events).overlay.is_none());
    let mut events = with_figures();
    events.push(letter('s'));
    events.push(state(CallState::Ended {
        reason: "far_hung_up",
        words: "They hung up".to_owned(),
        duration: Duration::from_secs(5),
    }));
    assert!(model(COLOUR, events).overlay.is_none());
}

#[test]
fn without_a_call_there_are_none() {
    let mut events = start();
    events.push(letter('s'));
    let model = model(COLOUR, events);
    assert!(model.overlay.is_none() && model.message.is_some());
}

/// The call of a group with pictures, and figures of three seconds.
fn group_with_figures() -> Vec<Event> {
    let mut events = super::groups::with_pictures();
    events.extend(super::roster::figures());
    events
}

#[test]
fn in_the_call_of_a_group_the_figures_lie_over_all_pictures() {
    let sizes = [(80, 24), (100, 30), (120, 34)];
    let mut events = group_with_figures();
    events.push(letter('s'));
    check_at(&sizes, "figures_group", COLOUR, events.clone());
    for (columns, rows) in sizes {
        let mut model = model(COLOUR, vec![Event::Resize(columns, rows)]);
        for event in events.clone() {
            let _ = update(&mut model, event);
        }
        let area = Rect::new(0, 0, columns, rows);
        let pane = layout::panes(&model, area).and_then(|panes| panes.call);
        let covered = stats::place(layout::picture(pane.expect("a call")), true);
        let shown = drawn(&model, (columns, rows));
        for place in covered.positions() {
            let symbol = shown.buffer()[place].symbol();
            assert!(!('▀'..='▟').contains(&symbol.chars().next().unwrap_or(' ')));
        }
        // What is measured goes on: pictures are still asked for.
        assert!(!feed_areas(&model, area).is_empty());
    }
}

#[test]
fn nothing_of_the_list_of_people_shows_beside_the_figures() {
    let mut events = super::roster::with_roster(true);
    events.push(letter('s'));
    check_at(&[(80, 24), (120, 34)], "figures_roster", COLOUR, events);
}

#[test]
fn the_picture_is_asked_for_while_its_figures_are_read() {
    let mut events = with_figures();
    let area = Rect::new(0, 0, 80, 24);
    let before = far_picture_area(&model(COLOUR, events.clone()), area);
    events.push(letter('s'));
    assert_eq!(far_picture_area(&model(COLOUR, events), area), before);
    assert!(before.is_some());
}

#[test]
fn alarms_stand_before_meters_where_not_all_fits() {
    let gone = crate::event::Levels {
        mic_gone: true,
        speaker_gone: true,
        ..crate::event::Levels::of(-30.0, -30.0)
    };
    let levels = |levels| Event::Call(CALL, CallEvent::Levels(levels));
    let down = Event::Server {
        up: false,
        reason: Some("connection refused".to_owned()),
    };
    let mut events = in_call(true, false);
    events.extend([
        levels(crate::event::Levels::of(-30.0, -30.0)),
        down,
        levels(gone),
    ]);
    let model = model(PLAIN, events);
    check_screen("alarms", &model, (80, 24));
    let screen = drawn(&model, (80, 24)).to_string();
    for alarm in ["MUTED", "NO MICROPHONE", "NO SPEAKER", "SERVER DOWN"] {
        assert!(screen.contains(alarm), "{alarm}: {screen}");
    }
}

#[test]
fn devices_that_are_away_stand_in_the_bar_and_in_the_figures_until_they_are_back() {
    let levels = |gone| {
        let levels = crate::event::Levels {
            mic_gone: gone,
            speaker_gone: gone,
            ..crate::event::Levels::of(-30.0, -30.0)
        };
        Event::Call(CALL, CallEvent::Levels(levels))
    };
    let mut events = in_call(false, false);
    let stats = Box::new(Stats::default());
    events.extend([Event::Call(CALL, CallEvent::Stats(stats)), letter('s')]);
    let shown = |events: Vec<Event>| drawn(&model(PLAIN, events), (80, 24)).to_string();
    events.push(levels(true));
    let away = shown(events.clone());
    assert!(!away.contains("Nothing is wrong") && !away.contains("microphone on"));
    for words in ["NO MICROPHONE", "NO SPEAKER"] {
        assert_eq!(away.matches(words).count(), 2, "{away}");
    }
    events.push(levels(false));
    let back = shown(events);
    assert!(back.contains("Nothing is wrong") && back.contains("microphone on"));
    assert!(!back.contains("NO MICROPHONE") && !back.contains("NO SPEAKER"));
}
