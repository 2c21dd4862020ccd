//! Capturing, subscribing, sharing the screen, holding.

use super::*;

#[test]
fn capture_state_is_told_and_off_means_nothing_can_be_sealed() {
    let mut net = Net::of(2);
    net.input(2, Input::Capture(Device::Camera, true));
    assert!(
        net.events_of(1)
            .contains(&Event::Captured(id(2), Capture::Camera(true)))
    );
    assert!(net.call(2).seal(Track::Camera, &[1; 9]).is_ok());
    net.input(2, Input::Capture(Device::Camera, false));
    net.input(2, Input::Capture(Device::Microphone, false));
    assert!(
        net.events_of(1)
            .contains(&Event::Captured(id(2), Capture::Microphone(false)))
    );
    for track in [Track::Microphone, Track::Camera, Track::Screen] {
        assert_eq!(
            net.call(2).seal(track, &[1; 9]),
            Err(OwnFrameError::NotCapturing)
        );
    }
}

#[test]
fn who_mutes_before_the_hello_begins_muted() {
    let now = Instant::now();
    for (wishes, is_on) in [(&[][..], true), (&[false], false), (&[false, true], true)] {
        let group = Scope::Group {
            members: members(1..=9),
        };
        let config = Net::config(1, 1, group);
        let mut call = GroupCall::new(now, config, ChaCha20Rng::seed_from_u64(1)).expect("usable");
        let hello = FromSfu::Hello(Vec::new()).encode(&mut ChaCha20Rng::seed_from_u64(1));
        let wishes = wishes
            .iter()
            .map(|&on| Input::Capture(Device::Microphone, on));
        for input in wishes.chain([Input::Received(&hello)]) {
            call.handle_input(now, input);
            while !matches!(call.poll_output(), Output::Timeout(_)) {}
        }
        assert_eq!(call.own().captures().microphone, is_on);
    }
}

#[test]
fn a_camera_is_subscribed_while_it_is_on_and_shown() {
    let mut net = Net::of(2);
    net.asked_by(1);
    let subscribe = |view| ToSfu::Subscribe(id(2), Subscription::Camera(view));
    net.input(1, Input::ViewCamera(id(2), Some(view())));
    assert!(net.asked_by(1).is_empty());
    net.input(2, Input::Capture(Device::Camera, true));
    assert_eq!(net.asked_by(1), [subscribe(Some(view()))]);
    let larger = View {
        width: 320,
        ..view()
    };
    net.input(1, Input::ViewCamera(id(2), Some(larger)));
    net.input(1, Input::ViewCamera(id(2), Some(larger)));
    assert_eq!(net.asked_by(1), [subscribe(Some(larger))]);
    net.input(2, Input::Capture(Device::Camera, false));
    assert_eq!(net.asked_by(1), [subscribe(None)]);
    net.input(2, Input::Capture(Device::Camera, true));
    net.input(1, Input::ViewCamera(id(2), None));
    assert_eq!(net.asked_by(1), [subscribe(Some(larger)), subscribe(None)]);
}

#[test]
fn a_screen_waits_for_the_sfu_s_time() {
    let mut net = Net::of(2);
    net.asked_by(2);
    net.input(1, Input::ViewScreen(id(2), Some(view())));
    net.input(2, Input::Capture(Device::Screen, true));
    assert_eq!(net.asked_by(2), [ToSfu::RequestTimestamp]);
    assert_eq!(net.call(2).own().captures().screen, None);
    net.asked_by(1);
    net.tell(id(2), &FromSfu::Timestamp(77));
    assert!(
        net.events_of(1)
            .contains(&Event::Captured(id(2), Capture::Screen(Some(77))))
    );
    assert_eq!(
        net.asked_by(1),
        [ToSfu::Subscribe(id(2), Subscription::Screen(Some(view())))]
    );
    net.input(2, Input::Capture(Device::Screen, false));
    assert_eq!(
        net.asked_by(1),
        [ToSfu::Subscribe(id(2), Subscription::Screen(None))]
    );
}

#[test]
fn a_screen_is_given_up_when_the_sfu_does_not_tell_its_time() {
    let mut net = Net::of(2);
    net.input(2, Input::Capture(Device::Screen, true));
    net.pass(TIMESTAMP_TIMEOUT);
    assert_eq!(net.warnings_of(2), [WarningKind::NoTimestamp]);
    net.tell(id(2), &FromSfu::Timestamp(77));
    assert_eq!(net.call(2).own().captures().screen, None);
}

#[test]
fn a_screen_is_refused_where_the_sfu_has_none() {
    let mut net = Net::new();
    let config = Net::config(
        1,
        1,
        Scope::Group {
            members: members(1..=2),
        },
    );
    net.join_with(Config {
        supported_features: SupportedFeatures::default(),
        ..config
    });
    net.input(1, Input::Capture(Device::Screen, true));
    assert!(
        net.events_of(1)
            .contains(&Event::Refused(Refused::NoScreens))
    );
}

#[test]
fn hold_turns_everything_off_and_coming_back_turns_it_on_again() {
    let mut net = Net::of(2);
    net.input(2, Input::Capture(Device::Camera, true));
    net.input(1, Input::ViewCamera(id(2), Some(view())));
    net.asked_by(1);
    net.events.clear();
    net.input(2, Input::Hold(true));
    assert!(net.events_of(1).contains(&Event::OnHold(id(2), true)));
    assert_eq!(
        net.asked_by(1),
        [ToSfu::Subscribe(id(2), Subscription::Camera(None))]
    );
    assert_eq!(
        net.call(2).own().captures(),
        crate::group::roster::Captures::default()
    );
    assert_eq!(
        net.call(2).seal(Track::Microphone, &[1]),
        Err(OwnFrameError::NotCapturing)
    );
    net.input(2, Input::Hold(false));
    assert!(net.events_of(1).contains(&Event::OnHold(id(2), false)));
    assert_eq!(
        net.asked_by(1),
        [ToSfu::Subscribe(id(2), Subscription::Camera(Some(view())))]
    );
    assert!(net.hears(1, 2));
}

#[test]
fn coming_back_muted_is_noticed_too() {
    let mut net = Net::of(2);
    net.input(2, Input::Capture(Device::Microphone, false));
    net.input(2, Input::Hold(true));
    net.input(2, Input::Hold(false));
    assert!(net.call(1).participants().all(|entry| !entry.on_hold));
}

#[test]
fn a_participant_who_joins_is_told_of_hold_and_not_of_devices() {
    let mut net = Net::of(1);
    net.input(1, Input::Hold(true));
    net.join(
        2,
        2,
        Scope::Group {
            members: members(1..=9),
        },
    );
    assert!(net.call(2).participants().all(|entry| entry.on_hold));
    assert!(
        !net.events_of(2)
            .iter()
            .any(|event| matches!(event, Event::Captured(..)))
    );
}

#[test]
fn a_key_held_down_sends_no_flood_and_the_last_wish_counts() {
    let mut net = Net::of(9);
    net.pass(Duration::from_secs(10));
    net.events.clear();
    // As a key repeats: thirty a second, for half a minute, everything in turn.
    for turn in 0..900_u32 {
        net.pass(Duration::from_millis(33));
        let on = turn / 4 % 2 == 1;
        net.input(
            2,
            match turn % 4 {
                0 => Input::Capture(Device::Microphone, on),
                1 => Input::Capture(Device::Camera, on),
                2 => Input::Capture(Device::Screen, on),
                _ => Input::Hold(!on),
            },
        );
        if !on && turn % 4 == 0 {
            let off = net.call(2).seal(Track::Microphone, &[1; 9]);
            assert_eq!(
                off,
                Err(OwnFrameError::NotCapturing),
                "muting is never late"
            );
        }
    }
    let heard = net
        .events_of(1)
        .into_iter()
        .filter(|event| matches!(event, Event::Captured(..) | Event::OnHold(_, true)))
        .count();
    // 30 s earn 750 messages, 8 people share them.
    assert!((20..=(300 + 750) / 8 + 16).contains(&heard), "{heard}");
    net.input(2, Input::Hold(false));
    net.input(2, Input::Capture(Device::Camera, false));
    net.input(2, Input::Capture(Device::Microphone, true));
    net.pass(Duration::from_secs(20));
    assert!(!net.call(2).own().is_on_hold());
    let last = net
        .events_of(1)
        .into_iter()
        .rfind(|event| matches!(event, Event::Captured(_, Capture::Microphone(_))));
    assert_eq!(
        last,
        Some(Event::Captured(id(2), Capture::Microphone(true)))
    );
    assert!(net.hears(1, 2));
    assert!(!net.call(2).own().captures().camera);
}
