//! Every case that goes wrong, and the words for it. Cases of files are in `hullo-signalling`'s store, those of
//! certificates in the program's network tests; here is what two programs and a relay do to one another.

use hullo_signalling::channel::{ChannelCommand, PersonChange};
use hullo_signalling::link::Link;
use hullo_signalling::store::{Store, StoreError};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::world::{ANN, BOB, CAT, World};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn each_case_has_words_that_say_what_to_do() {
    let mut world = World::new(60);
    world.command(CAT, ChannelCommand::SetServer(world.url()));
    let link = world.invite(ANN);
    world.add(BOB, &link);
    let own = world.invite(CAT);
    let old = world.invite(ANN);
    let whole = world.whole_link(ANN);
    let cases: [(&str, &str); 10] = [
        (&link, "this link was used before"),
        (&whole[..whole.len() - 4], "the end of the link is missing"),
        (&old.replace("hullo:s.a", "hullo:s.b"), "newer Hullo"),
        (&own, "this is your own link"),
        (&old[..old.len() - 4], "the end of the link is missing"),
        ("https://example.org", "this is not a contact link"),
        ("7314-orbit-velvet", "nobody waits with this code"),
        ("7314-orbit-velvt", "one of the words is in no code"),
        ("7314-orbit", "a code is a number and two words"),
        (
            "hullo:1-orbit-velvet@a:1/x",
            "the server in this code cannot be read",
        ),
    ];
    for (text, words) in cases {
        let link = text.to_owned();
        let (_, reason) = world.refusal(CAT, ChannelCommand::Add { link });
        assert!(reason.to_string().contains(words), "{text}: {reason}");
    }
    world.wait(8 * 24 * 60 * 60);
    let (_, late) = world.refusal(CAT, ChannelCommand::Add { link: old });
    assert!(late.to_string().contains("the link is too old"), "{late}");
}

#[test]
fn two_key_sets_under_one_id_or_key_are_refused_and_the_owner_named() {
    let mut world = World::new(61);
    world.befriend(ANN, BOB);
    let impostor = world.with_the_group_key_of(BOB);
    let mut link = Link::from_text(&world.whole_link(CAT)).expect("a good link");
    link.key_set = *impostor.key_set();
    let link = link.to_text();
    let (_, reason) = world.refusal(ANN, ChannelCommand::Add { link });
    assert!(
        reason
            .to_string()
            .contains("keys or an id that belong to bob"),
        "{reason}"
    );
}

#[test]
fn clocks_wrong_by_a_day_break_nothing() {
    for (ann, bob) in [(DAY, 0), (-DAY, 0), (0, DAY), (0, -DAY), (DAY, -DAY)] {
        let mut world = World::new(62);
        world.set_clock(ANN, ann);
        world.set_clock(BOB, bob);
        world.befriend(ANN, BOB);
        world.leave(BOB);
        world.send(ANN, BOB, "how late is it?".into());
        world.settle();
        world.wait(100);
        world.enter(BOB);
        world.settle();
        assert_eq!(world.texts(BOB), ["how late is it?"]);
        let age = world.ages(BOB)[0].as_secs();
        assert!((95..=145).contains(&age), "measured by the relay: {age} s");
        world.command(BOB, ChannelCommand::SetServer(world.url()));
        world.command(CAT, ChannelCommand::SetServer(world.url()));
        let code = world.invite_by_code(BOB);
        world.add(CAT, &code);
        assert_eq!(world.contacts(CAT).len(), 1, "{ann} {bob}");
    }
}

#[test]
fn a_copied_profile_is_refused_and_a_renamed_or_adopted_one_is_not() {
    let mut world = World::new(63);
    world.befriend(ANN, BOB);
    world.leave(ANN);
    let path = world.profile(ANN);
    let mut rng = ChaCha20Rng::seed_from_u64(63);
    let copy = path.with_extension("copy");
    std::fs::copy(&path, &copy).expect("a copy");
    let error = Store::open(&copy, &mut rng)
        .err()
        .expect("a copy is noticed");
    assert!(matches!(error, StoreError::Copied), "{error}");
    assert!(error.to_string().contains("restore --moved"), "{error}");
    let renamed = path.with_extension("renamed");
    std::fs::rename(&path, &renamed).expect("renamed");
    assert!(Store::open(&renamed, &mut rng).is_ok());
    Store::adopt(&copy).expect("the user says that the original is gone");
    assert!(Store::open(&copy, &mut rng).is_ok());
}

#[test]
fn two_copies_that_run_are_noticed_by_the_relay_and_the_older_one_stops() {
    let mut world = World::new(64);
    world.befriend(ANN, BOB);
    world.leave(ANN);
    world.leave(CAT);
    // Cat's program runs on a copy of ann's whole machine.
    std::fs::remove_file(world.profile(CAT)).expect("a profile");
    let copied = std::fs::copy(world.profile(ANN), world.profile(CAT));
    copied.expect("a copy");
    Store::adopt(&world.profile(CAT)).expect("a copy");
    world.enter(ANN);
    world.settle();
    world.enter(CAT);
    world.settle();
    let words = world.failures(ANN).pop().expect("ann is told");
    assert!(
        words.contains("a copy of this profile runs elsewhere"),
        "{words}"
    );
    assert_eq!(world.lines(ANN), 0, "nothing is read or written any more");
    let reason = world.refusal_of_send(ANN, BOB).to_string();
    assert!(reason.contains("a copy of this profile"), "{reason}");
}

#[test]
fn a_full_queue_is_said_and_nothing_is_lost() {
    let mut world = World::new(65);
    world.befriend(ANN, BOB);
    world.leave(BOB);
    for number in 0..140 {
        world.send(ANN, BOB, format!("{number}"));
        world.settle_within(1);
    }
    let words = world.failures(ANN).pop().expect("ann is told");
    assert!(words.contains("the mailbox is full"), "{words}");
    world.enter(BOB);
    world.wait(60);
    world.settle();
    let all: Vec<String> = (0..140).map(|number| number.to_string()).collect();
    assert_eq!(world.texts(BOB), all);
}

#[test]
fn a_blocked_contact_is_named_when_one_writes_to_it() {
    let mut world = World::new(66);
    world.befriend(ANN, BOB);
    world.change(ANN, BOB, PersonChange::Block);
    let reason = world.refusal_of_send(ANN, BOB).to_string();
    assert_eq!(reason, "bob is blocked: unblock it first");
}
