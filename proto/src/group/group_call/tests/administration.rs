//! Administration, in calls that have it.

use super::*;

const GCAK: [u8; 32] = [9; 32];

fn scope() -> Scope {
    let hash = GroupCallKey::from_bytes(GCK).hash();
    let administrators = Some(
        AdministratorKey::from_bytes(GCAK)
            .message_key(&hash)
            .public(),
    );
    Scope::Link {
        known: members(1..=9),
        guests_allowed: false,
        administrators,
    }
}

/// Three participants; the first is an administrator.
fn net() -> Net {
    let mut net = Net::new();
    net.join_with(Config {
        administrator: Some(AdministratorKey::from_bytes(GCAK)),
        ..Net::config(1, 1, scope())
    });
    net.join(2, 2, scope());
    net.join(3, 3, scope());
    net
}

fn administrators(net: &mut Net, seen_by: u32) -> Vec<u32> {
    net.call(seen_by)
        .participants()
        .filter(|entry| entry.administrator)
        .map(|entry| entry.id.number())
        .collect()
}

#[test]
fn an_administrator_reports_after_the_handshake() {
    let mut net = net();
    assert_eq!(
        (administrators(&mut net, 2), administrators(&mut net, 3)),
        (vec![1], vec![1])
    );
    assert!(net.events_of(2).contains(&Event::Administrator(id(1))));
}

#[test]
fn promotion_makes_an_administrator_who_reports_to_everyone() {
    let mut net = net();
    net.input(1, Input::Administer(AdminCommand::Promote(id(2))));
    assert!(net.events_of(2).contains(&Event::Promoted) && net.call(2).is_administrator());
    assert_eq!(
        (administrators(&mut net, 1), administrators(&mut net, 3)),
        (vec![2], vec![1, 2])
    );
}

#[test]
fn promoting_an_administrator_changes_nothing() {
    let mut net = net();
    net.input(1, Input::Administer(AdminCommand::Promote(id(2))));
    net.events.clear();
    net.input(1, Input::Administer(AdminCommand::Promote(id(2))));
    assert!(net.events.is_empty());
}

#[test]
fn promotion_with_another_key_is_warned_about() {
    let mut net = net();
    // The administrator's messages are sealed by the right GCAMK, but hand out a wrong GCAK.
    let (_, message_key) = net.call(1).administrator.take().expect("is one");
    net.call(1).administrator = Some((AdministratorKey::from_bytes([8; 32]), message_key));
    net.input(1, Input::Administer(AdminCommand::Promote(id(2))));
    assert_eq!(net.warnings_of(2), [WarningKind::WrongAdministratorKey]);
    assert!(!net.call(2).is_administrator());
}

#[test]
fn messages_of_a_false_administrator_are_warned_about() {
    let mut net = net();
    let key = AdministratorKey::from_bytes([8; 32]);
    let message_key = key.message_key(&GroupCallKey::from_bytes(GCK).hash());
    net.call(3).administrator = Some((key, message_key));
    net.input(3, Input::Administer(AdminCommand::ForceLeave(id(2))));
    assert_eq!(net.warnings_of(2), [WarningKind::NotAnAdministrator]);
    // The pair still understands each other.
    assert!(net.hears(2, 3));
    net.input(3, Input::Hold(true));
    assert!(net.call(2).participants().any(|entry| entry.on_hold));
}

#[test]
fn administration_in_a_group_is_warned_about() {
    let mut net = Net::of(2);
    let key = AdministratorKey::from_bytes(GCAK);
    let message_key = key.message_key(&GroupCallKey::from_bytes(GCK).hash());
    net.call(1).administrator = Some((key, message_key));
    net.input(1, Input::Administer(AdminCommand::ForceLeave(id(2))));
    assert_eq!(net.warnings_of(2), [WarningKind::NoAdministration]);
}

#[test]
fn force_leave_ends_the_call() {
    let mut net = net();
    net.input(1, Input::Administer(AdminCommand::ForceLeave(id(2))));
    assert!(
        net.events_of(2)
            .contains(&Event::Ended(EndReason::ForcedToLeave))
    );
}

#[test]
fn forcing_devices_off_tells_everyone_and_skips_what_is_off() {
    let mut net = net();
    net.input(2, Input::Capture(Device::Camera, true));
    net.events.clear();
    net.input(
        1,
        Input::Administer(AdminCommand::ForceCaptureStateOff(
            id(2),
            ForcedOff::Device(Device::Screen),
        )),
    );
    assert!(net.events.is_empty());
    net.input(
        1,
        Input::Administer(AdminCommand::ForceCaptureStateOff(
            id(2),
            ForcedOff::Unknown,
        )),
    );
    assert!(net.events.is_empty());
    net.input(
        1,
        Input::Administer(AdminCommand::ForceCaptureStateOff(
            id(2),
            ForcedOff::Device(Device::Microphone),
        )),
    );
    assert!(
        net.events_of(2)
            .contains(&Event::OwnCapture(Capture::Microphone(false)))
    );
    assert!(
        net.events_of(3)
            .contains(&Event::Captured(id(2), Capture::Microphone(false)))
    );
    net.input(
        1,
        Input::Administer(AdminCommand::ForceCaptureStateOff(id(2), ForcedOff::All)),
    );
    assert_eq!(
        net.events_of(2),
        [Event::OwnCapture(Capture::Camera(false))]
    );
    // Momentary: it may go on again.
    assert!(net.hears(3, 2));
}

#[test]
fn forcing_focus_reaches_everyone_if_the_participant_is_known() {
    let mut net = net();
    net.input(1, Input::Administer(AdminCommand::ForceFocus(id(3))));
    assert!(
        net.events_of(2).contains(&Event::Focus(id(3)))
            && net.events_of(3).contains(&Event::Focus(id(3)))
    );
    net.events.clear();
    net.input(1, Input::Administer(AdminCommand::ForceFocus(id(9))));
    assert_eq!(
        net.events_of(1),
        [Event::Refused(Refused::NoSuchParticipant)]
    );
    // A receiver that does not know the participant ignores it.
    net.call(2).roster.participants.remove(&id(3));
    net.input(1, Input::Administer(AdminCommand::ForceFocus(id(3))));
    assert!(net.events_of(2).is_empty());
}

#[test]
fn only_administrators_administer() {
    let mut net = net();
    net.events.clear();
    net.input(2, Input::Administer(AdminCommand::ForceLeave(id(3))));
    assert_eq!(
        net.events_of(2),
        [Event::Refused(Refused::NotAnAdministrator)]
    );
    net.input(1, Input::Administer(AdminCommand::ForceLeave(id(9))));
    assert_eq!(
        net.events_of(1),
        [Event::Refused(Refused::NoSuchParticipant)]
    );
}

#[test]
fn administrators_and_guests_work_together() {
    let mut net = Net::new();
    let open = || match scope() {
        Scope::Link {
            known,
            administrators,
            ..
        } => Scope::Link {
            known,
            guests_allowed: true,
            administrators,
        },
        group => group,
    };
    net.join_with(Config {
        administrator: Some(AdministratorKey::from_bytes(GCAK)),
        ..Net::config(1, 1, open())
    });
    net.join_with(Config {
        role: Role::Guest {
            name: Name::new("g"),
        },
        ..Net::config(2, 2, open())
    });
    assert_eq!(administrators(&mut net, 2), [1]);
    net.input(1, Input::Administer(AdminCommand::ForceLeave(id(2))));
    assert!(
        net.events_of(2)
            .contains(&Event::Ended(EndReason::ForcedToLeave))
    );
}
