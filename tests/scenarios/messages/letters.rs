//! Short links and the letters they lead to.

use hullo_signalling::channel::{ChannelCommand, ChannelEvent, ContactState};
use hullo_signalling::short_link::{SHORT_PREFIX, ShortLink};

use super::world::{ANN, BOB, CAT, World};

#[test]
fn a_short_link_in_capital_letters_works_and_fits_a_small_code() {
    let mut world = World::new(80);
    let link = world.invite(ANN);
    assert!(link.starts_with(SHORT_PREFIX), "{link}");
    // What a QR code of 41 modules holds in its alphanumeric set.
    assert!(link.len() <= 195, "{} characters", link.len());
    world.add(BOB, &link.to_ascii_uppercase());
    for person in [ANN, BOB] {
        assert_eq!(world.contacts(person)[0].state, ContactState::Ready);
    }
    world.send(BOB, ANN, "found you".into());
    world.settle();
    assert_eq!(world.texts(ANN), ["found you"]);
}

#[test]
fn lines_that_break_in_the_middle_leave_a_link_that_works_or_a_reason() {
    for cut in 1..30 {
        let mut world = World::new(81);
        let server = Some(world.url());
        world.command(ANN, ChannelCommand::Invite { server });
        world.steps(cut);
        world.cut_all();
        world.settle_within(60);
        let Some(link) = world.link(ANN) else {
            let failed = world.failures(ANN);
            assert!(
                failed
                    .iter()
                    .any(|words| words.contains("cannot be reached")),
                "cut at {cut}: {failed:?}"
            );
            continue;
        };
        world.command(BOB, ChannelCommand::Add { link: link.clone() });
        world.steps(cut);
        world.cut_all();
        world.settle_within(60);
        let failed = world.failures(BOB);
        if world.contacts(BOB).is_empty() {
            assert!(
                failed
                    .iter()
                    .any(|words| words.contains("cannot be reached")),
                "cut at {cut}: {failed:?}"
            );
            world.add(BOB, &link);
        }
        assert_eq!(
            world.contacts(BOB).len(),
            1,
            "cut at {cut}: {:?}",
            world.failures(BOB)
        );
        assert_eq!(world.contacts(ANN).len(), 1, "cut at {cut}");
    }
}

#[test]
fn a_letter_is_deleted_when_its_link_is_too_old_even_by_a_later_start() {
    let mut world = World::new(82);
    let link = world.invite(ANN);
    let deleted = |world: &World| {
        let sent = world.sent_to_relay().iter();
        // The command's number in the relay protocol.
        sent.filter(|frame| frame[0] == 0x06).count()
    };
    assert_eq!(deleted(&world), 0);
    world.leave(ANN);
    world.wait(8 * 24 * 60 * 60);
    world.enter(ANN);
    world.settle_within(2 * 60 * 60);
    assert_eq!(deleted(&world), 2, "invitation and letter are gone");
    world.add(BOB, &link);
    assert_eq!(
        world.failures(BOB),
        ["the link is too old: ask for a new one (links are good for 7 days)"]
    );
}

#[test]
fn a_letter_that_is_no_letter_of_this_link_is_refused() {
    let mut world = World::new(83);
    let (first, second) = (world.invite(ANN), world.invite(CAT));
    let second = ShortLink::from_text(&second).expect("a good link");
    let mut mixed = ShortLink::from_text(&first).expect("a good link");
    // The queue of one with the secret of the other: the relay lets nobody in who cannot sign.
    mixed.secret = second.secret;
    world.add(BOB, &mixed.to_text());
    assert_eq!(world.contacts(BOB).len(), 0);
    assert_eq!(world.failures(BOB).len(), 1, "{:?}", world.failures(BOB));
}

#[test]
fn the_whole_link_is_as_good() {
    let mut world = World::new(84);
    let whole = world.whole_link(ANN);
    world.add(BOB, &whole);
    assert_eq!(world.contacts(BOB).len(), 1);
    let ready = |event: &&ChannelEvent| matches!(event, ChannelEvent::InviteReady { .. });
    assert_eq!(
        world.taken(ANN).iter().filter(ready).count(),
        1,
        "said once"
    );
}
