//! Joining, leaving, updating: each step that names a case has its test.

use super::*;

#[test]
fn two_members_authenticate_subscribe_and_hear_each_other() {
    let mut net = Net::of(2);
    for (own, other) in [(1, 2), (2, 1)] {
        let events = net.events_of(own);
        assert!(events.iter().any(|event| matches!(event, Event::Authenticated(who, ParticipantName::Normal(..)) if *who == id(other))));
        let asked = net.asked_by(own);
        assert_eq!(
            subscribes(
                &asked,
                &ToSfu::Subscribe(id(other), Subscription::Microphone(true))
            ),
            1
        );
        assert!(net.hears(own, other));
    }
}

#[test]
fn the_microphone_is_on_at_first_with_fewer_than_4_others() {
    let mut net = Net::of(6);
    let on: Vec<_> = (1..=6)
        .map(|number| net.call(number).own().captures().microphone)
        .collect();
    assert_eq!(on, [true, true, true, true, false, false]);
    // Post-handshake step 4: each other one was told.
    let told: Vec<_> = net
        .call(6)
        .participants()
        .map(|entry| entry.captures.microphone)
        .collect();
    assert_eq!(told, [true, true, true, true, false]);
}

#[test]
fn a_second_hello_is_warned_about() {
    let mut net = Net::of(2);
    net.tell(id(1), &FromSfu::Hello(vec![id(7)]));
    assert_eq!(net.warnings_of(1), [WarningKind::SecondHello]);
    assert_eq!(net.call(1).participants().count(), 1);
}

#[test]
fn whatever_comes_before_the_hello_is_warned_about() {
    let mut net = Net::new();
    let config = Net::config(
        1,
        1,
        Scope::Group {
            members: members(1..=2),
        },
    );
    net.calls.insert(
        id(1),
        GroupCall::new(net.now, config, ChaCha20Rng::seed_from_u64(1)).expect("usable"),
    );
    net.tell(id(1), &FromSfu::ParticipantJoined(id(2)));
    net.tell(id(1), &FromSfu::ParticipantLeft(id(2)));
    assert_eq!(
        net.warnings_of(1),
        [WarningKind::BeforeHello, WarningKind::BeforeHello]
    );
}

#[test]
fn participant_joined_that_exists_already_is_warned_about() {
    let mut net = Net::of(2);
    let before = net.call(1).sending_position();
    net.tell(id(1), &FromSfu::ParticipantJoined(id(2)));
    net.tell(id(1), &FromSfu::ParticipantJoined(id(1)));
    assert_eq!(
        net.warnings_of(1),
        [WarningKind::JoinedTwice, WarningKind::JoinedTwice]
    );
    assert_eq!(net.call(1).sending_position(), before);
}

#[test]
fn participant_left_that_never_joined_is_warned_about() {
    let mut net = Net::of(2);
    net.tell(id(1), &FromSfu::ParticipantLeft(id(9)));
    assert_eq!(net.warnings_of(1), [WarningKind::NeverJoined]);
    net.pass(Duration::from_secs(3));
    assert_eq!(net.call(1).sending_position().0, 0);
}

#[test]
fn a_relay_for_another_receiver_is_discarded() {
    let mut net = Net::of(2);
    net.tell(
        id(1),
        &FromSfu::Relay(Relay {
            sender: id(2),
            receiver: id(3),
            encrypted_data: vec![0; 40],
        }),
    );
    assert_eq!(net.warnings_of(1), [WarningKind::WrongReceiver]);
}

#[test]
fn a_relay_of_an_unknown_sender_is_discarded() {
    let mut net = Net::of(2);
    net.tell(
        id(1),
        &FromSfu::Relay(Relay {
            sender: id(8),
            receiver: id(1),
            encrypted_data: vec![0; 40],
        }),
    );
    assert_eq!(net.warnings_of(1), [WarningKind::UnknownSender]);
}

#[test]
fn joining_ratchets_the_others_at_once() {
    let mut net = Net::of(3);
    let positions: Vec<_> = (1..=3)
        .map(|number| net.call(number).sending_position())
        .collect();
    assert_eq!(positions, [(0, 2), (0, 1), (0, 0)]);
    for (to, from) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
        assert!(net.hears(to, from), "{to} hears {from}");
    }
}

#[test]
fn the_256th_join_in_a_row_ends_the_call() {
    let mut net = Net::of(1);
    for number in 2..=256 {
        net.tell(id(1), &FromSfu::ParticipantJoined(id(number)));
    }
    assert_eq!(net.call(1).sending_position(), (0, 255));
    net.events_of(1);
    net.tell(id(1), &FromSfu::ParticipantJoined(id(257)));
    assert!(
        net.events_of(1)
            .contains(&Event::Ended(EndReason::RatchetExhausted))
    );
    assert_eq!(net.call(1).next_timeout(), None);
}

#[test]
fn leaving_rekeys_after_2_s_and_the_one_who_left_hears_nothing_more() {
    let mut net = Net::of(3);
    let mut gone = net.calls.remove(&id(3)).expect("in the net");
    net.leave(3);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.call(1).sending_position(), (1, 0));
    assert!(net.hears(1, 2) && net.hears(2, 1));
    let sealed = net.call(1).seal(Track::Microphone, b"sound").expect("on");
    assert!(
        gone.open(net.now, id(1), Track::Microphone, &sealed)
            .is_err()
    );
}

#[test]
fn two_leaving_within_2_s_are_caught_up_with_in_4_s() {
    let mut net = Net::of(4);
    net.leave(3);
    net.pass(Duration::from_secs(1));
    let gone = net.calls.remove(&id(4));
    net.leave(4);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.call(1).sending_position().0, 1);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.call(1).sending_position().0, 2);
    let sealed = net.call(1).seal(Track::Microphone, b"sound").expect("on");
    let now = net.now;
    assert!(
        gone.expect("was there")
            .open(now, id(1), Track::Microphone, &sealed)
            .is_err()
    );
    assert!(net.hears(2, 1));
}

#[test]
fn keys_made_during_a_handshake_are_sent_once_it_is_done() {
    let mut net = Net::of(3);
    net.withheld = Some(Vec::new());
    net.join(
        4,
        4,
        Scope::Group {
            members: members(1..=9),
        },
    );
    // Hellos arrive and are answered; the auths are under way when someone leaves, and 2 s pass.
    let hellos = net.withheld.replace(Vec::new()).expect("withheld");
    for relay in hellos {
        net.tell(relay.receiver, &FromSfu::Relay(relay));
    }
    net.leave(3);
    net.pass(Duration::from_millis(2_500));
    net.release();
    for (to, from) in [(4, 1), (4, 2), (1, 4), (2, 4), (1, 2), (2, 1)] {
        assert!(net.hears(to, from), "{to} hears {from}");
    }
}

#[test]
fn a_member_removed_from_the_group_is_treated_as_having_left() {
    let mut net = Net::of(3);
    let at = net.now;
    net.asked_by(1);
    for number in [1, 2] {
        net.input(number, Input::Members(members([1, 2])));
    }
    assert!(
        net.events_of(1)
            .contains(&Event::ParticipantLeft(id(3), LeftReason::Removed))
    );
    assert!(
        net.asked_by(1)
            .contains(&ToSfu::Subscribe(id(3), Subscription::Microphone(false)))
    );
    net.now = at;
    net.pass(Duration::from_secs(2));
    let sealed = net.call(1).seal(Track::Microphone, b"sound").expect("on");
    let now = net.now;
    assert!(
        net.call(3)
            .open(now, id(1), Track::Microphone, &sealed)
            .is_err()
    );
    assert!(net.hears(2, 1));
    // What it still says, and the SFU's word that it left, surprise nobody.
    net.events.clear();
    net.input(3, Input::Hold(true));
    net.leave(3);
    assert!(net.warnings_of(1).is_empty());
}

#[test]
fn being_removed_ends_the_call() {
    let mut net = Net::of(2);
    net.input(1, Input::Members(members([2, 3])));
    assert!(
        net.events_of(1)
            .contains(&Event::Ended(EndReason::NotAMember))
    );
}

#[test]
fn a_member_under_another_key_is_treated_as_having_left() {
    let mut net = Net::of(2);
    let mut changed = members(1..=9);
    changed.insert(identity(2), client_key(40).public());
    net.input(1, Input::Members(changed));
    assert!(
        net.events_of(1)
            .contains(&Event::ParticipantLeft(id(2), LeftReason::Removed))
    );
}

#[test]
fn several_participants_of_one_identity_are_allowed() {
    let mut net = Net::new();
    for (number, person) in [(1, 1), (2, 2), (3, 2), (4, 1)] {
        net.join(
            number,
            person,
            Scope::Group {
                members: members(1..=2),
            },
        );
    }
    for (to, from) in [(1, 4), (4, 1), (2, 3), (3, 2), (1, 3)] {
        assert!(net.hears(to, from), "{to} hears {from}");
    }
}

#[test]
fn a_stranger_never_authenticates() {
    let mut net = Net::of(2);
    net.join(
        3,
        3,
        Scope::Group {
            members: members(1..=9),
        },
    );
    net.events.clear();
    for number in [1, 2] {
        net.input(number, Input::Members(members([1, 2])));
    }
    net.leave(3);
    net.join(
        8,
        3,
        Scope::Group {
            members: members(1..=9),
        },
    );
    assert_eq!(net.warnings_of(1), [WarningKind::NotAMember]);
    assert!(
        net.call(1)
            .participants()
            .any(|entry| entry.id == id(8) && !entry.authenticated)
    );
    let now = net.now;
    assert!(
        net.call(1)
            .open(now, id(8), Track::Microphone, &[1; 40])
            .is_err()
    );
}

#[test]
fn the_lowest_authenticated_id_updates_the_call_state_every_10_s() {
    let mut net = Net::of(3);
    net.to_sfu.clear();
    net.pass(Duration::from_secs(35));
    let updates = |net: &mut Net, number| {
        let asked = net.asked_by(number);
        asked
            .into_iter()
            .filter_map(|m| {
                if let ToSfu::UpdateCallState(state) = m {
                    Some(state)
                } else {
                    None
                }
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (updates(&mut net, 2).len(), updates(&mut net, 3).len()),
        (0, 0)
    );
    let of_1 = updates(&mut net, 1);
    assert_eq!(of_1.len(), 3);
    let plain = GroupCallKey::from_bytes(GCK)
        .state_key()
        .open(&of_1[2])
        .expect("GCSK");
    let state = CallState::decode(&plain).expect("own state");
    assert_eq!(
        (state.created_by, state.created_at_ms),
        (id(1), 1_000_000 + 30_000)
    );
    assert_eq!(
        state
            .participants
            .keys()
            .map(|id| id.number())
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    net.leave(1);
    assert_eq!(
        (updates(&mut net, 2).len(), updates(&mut net, 3).len()),
        (1, 0)
    );
}

#[test]
fn guests_update_the_call_state_only_without_members() {
    let mut net = Net::new();
    let link = || Scope::Link {
        known: members(1..=9),
        guests_allowed: true,
        administrators: None,
    };
    let guest = |number| Config {
        role: Role::Guest {
            name: Name::new("g"),
        },
        ..Net::config(number, number, link())
    };
    net.join_with(guest(1));
    net.join_with(guest(2));
    net.to_sfu.clear();
    net.pass(STATE_UPDATE_INTERVAL);
    let is_update = |message: &ToSfu| matches!(message, ToSfu::UpdateCallState(_));
    assert!(net.asked_by(1).iter().any(is_update) && !net.asked_by(2).iter().any(is_update));
    net.join(3, 3, link());
    net.to_sfu.clear();
    net.pass(STATE_UPDATE_INTERVAL);
    assert!(net.asked_by(3).iter().any(is_update) && !net.asked_by(1).iter().any(is_update));
}

#[test]
fn alone_for_3_minutes_ends_the_call_and_not_before() {
    let mut net = Net::of(2);
    net.pass(Duration::from_secs(600));
    net.leave(2);
    net.pass(ALONE_MAX - Duration::from_millis(1));
    assert!(!net.events_of(1).contains(&Event::Ended(EndReason::Alone)));
    net.pass(Duration::from_millis(1));
    assert!(net.events_of(1).contains(&Event::Ended(EndReason::Alone)));
}

#[test]
fn company_stops_the_timer_of_being_alone() {
    let mut net = Net::of(1);
    net.pass(ALONE_MAX - Duration::from_secs(1));
    net.join(
        2,
        2,
        Scope::Group {
            members: members(1..=9),
        },
    );
    net.pass(ALONE_MAX * 2);
    assert!(!net.events_of(1).contains(&Event::Ended(EndReason::Alone)));
}

#[test]
fn after_the_end_nothing_changes() {
    let mut net = Net::of(2);
    net.input(1, Input::Leave);
    assert!(net.events_of(1).contains(&Event::Ended(EndReason::Left)));
    net.asked_by(1);
    net.input(2, Input::Hold(true));
    net.input(1, Input::Capture(Device::Microphone, true));
    net.pass(ALONE_MAX);
    assert!(net.events_of(1).is_empty() && net.asked_by(1).is_empty());
    assert_eq!(
        net.call(1).seal(Track::Microphone, &[1]),
        Err(OwnFrameError::NotCapturing)
    );
}

#[test]
fn guests_are_refused_in_a_group() {
    let mut net = Net::of(1);
    let link = Scope::Link {
        known: members(1..=9),
        guests_allowed: true,
        administrators: None,
    };
    net.join_with(Config {
        role: Role::Guest {
            name: Name::new("g"),
        },
        ..Net::config(2, 2, link)
    });
    assert_eq!(net.warnings_of(1), [WarningKind::GuestsNotAllowed]);
    assert!(net.call(1).participants().all(|entry| !entry.authenticated));
}

#[test]
fn guests_and_members_hear_each_other_where_allowed() {
    let mut net = Net::new();
    let link = || Scope::Link {
        known: members(1..=9),
        guests_allowed: true,
        administrators: None,
    };
    let guest = |number| Config {
        role: Role::Guest {
            name: Name::new("g"),
        },
        ..Net::config(number, number, link())
    };
    net.join(1, 1, link());
    net.join_with(guest(2));
    net.join(3, 3, link());
    net.join_with(guest(4));
    for to in 1..=4 {
        for from in (1..=4).filter(|from| *from != to) {
            assert!(net.hears(to, from), "{to} hears {from}");
        }
    }
}

#[test]
fn in_a_call_by_link_a_stranger_is_answered_once_known() {
    let link = |known: &[u32]| Scope::Link {
        known: members(known.iter().copied()),
        guests_allowed: false,
        administrators: None,
    };
    let mut net = Net::new();
    net.join(1, 1, link(&[1]));
    net.join(2, 2, link(&[1, 2]));
    assert_eq!(net.warnings_of(1), [WarningKind::NotAMember]);
    net.input(1, Input::Members(members([1, 2])));
    assert!(net.hears(1, 2) && net.hears(2, 1));
    // Nobody is removed from a call by link for being unknown.
    net.input(1, Input::Members(members([1])));
    assert!(net.hears(1, 2));
}
