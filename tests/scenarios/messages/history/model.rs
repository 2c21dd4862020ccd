//! Any interleaving of calls, texts and troubles against a model of what both sides should have.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;

/// How a call goes, and what both sides have of it afterwards.
#[derive(Clone, Copy)]
enum Plan {
    Talk(u64),
    Lost(u64),
    Cancel,
    TooLong,
    Refuse(RefusalReason),
    NeverConnects,
}

/// Runs the call; what the caller and the callee should have.
fn run_plan(world: &mut World, caller: usize, call: CallId, plan: Plan) -> (String, String) {
    let callee = other(caller);
    world.say(caller, &invitation(call));
    world.settle();
    world.say(callee, &Message::Ringing(call));
    let taken = !matches!(plan, Plan::Cancel | Plan::TooLong | Plan::Refuse(_));
    if taken {
        world.progress(callee, call, CallProgress::Accepted);
        world.say(callee, &offer(call));
        world.settle();
        world.say(caller, &answer(call));
        world.settle();
    }
    let both = |word: &str| (format!("out call {word}"), format!("in call {word}"));
    let pair =
        |out: &str, incoming: &str| (format!("out call {out}"), format!("in call {incoming}"));
    match plan {
        Plan::Talk(seconds) | Plan::Lost(seconds) => {
            for person in [caller, callee] {
                world.progress(person, call, CallProgress::Connected);
            }
            world.wait(seconds);
            if let Plan::Lost(_) = plan {
                for person in [caller, callee] {
                    world.progress(person, call, CallProgress::Ended(EndReason::Lost));
                    world.say(person, &Message::End(call));
                }
                return both(&format!("cut_off {seconds}"));
            }
            world.progress(callee, call, CallProgress::Ended(EndReason::HungUp));
            world.say(callee, &Message::End(call));
            both(&format!("ended {seconds}"))
        }
        Plan::Cancel => {
            world.say(caller, &Message::End(call));
            pair("cancelled", "missed")
        }
        Plan::TooLong => {
            world.wait(60);
            world.say(caller, &Message::End(call));
            pair("unanswered", "missed")
        }
        Plan::Refuse(reason) => {
            let refused = Message::Refused {
                call_id: call,
                reason,
            };
            world.say(callee, &refused);
            match reason {
                RefusalReason::Busy => both("busy"),
                RefusalReason::Declined => both("declined"),
                RefusalReason::Unanswered => pair("unanswered", "missed"),
                RefusalReason::AnsweredElsewhere => both("answered_elsewhere"),
            }
        }
        Plan::NeverConnects => {
            let reason = CallProgress::Ended(EndReason::FailedToConnect);
            world.progress(caller, call, reason);
            world.say(caller, &Message::End(call));
            pair("failed", "ended 0")
        }
    }
}

#[test]
fn any_interleaving_of_calls_texts_and_troubles_gives_the_history_of_the_model() {
    for seed in 0..24 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut world = World::with_people(1_000 + seed, 2);
        world.befriend(ANN, BOB);
        let mut calls: [Vec<String>; 2] = Default::default();
        let mut texts: [Vec<String>; 2] = Default::default();
        for number in 0..24_u8 {
            let person = rng.random_range(0..2);
            match rng.random_range(0..12) {
                0..5 => {
                    let text = format!("text {number}");
                    world.text(person, &text);
                    texts[person].push(text);
                }
                5..9 => {
                    let plan = match rng.random_range(0..9) {
                        0 => Plan::Talk(rng.random_range(0..30)),
                        1 => Plan::Lost(rng.random_range(0..30)),
                        2 => Plan::Cancel,
                        3 => Plan::TooLong,
                        4 => Plan::Refuse(RefusalReason::Busy),
                        5 => Plan::Refuse(RefusalReason::Declined),
                        6 => Plan::Refuse(RefusalReason::Unanswered),
                        7 => Plan::Refuse(RefusalReason::AnsweredElsewhere),
                        _ => Plan::NeverConnects,
                    };
                    let call = CallId([number; 16]);
                    let (out, incoming) = run_plan(&mut world, person, call, plan);
                    calls[person].push(out);
                    calls[other(person)].push(incoming);
                    // A call that begins while the last one's end is under way is another scenario's affair.
                    world.settle();
                }
                9 => world.cut_all(),
                10 => {
                    world.relay_up(false);
                    world.wait(5);
                    world.relay_up(true);
                }
                _ => {
                    world.steps(rng.random_range(0..20));
                    world.restart(person);
                }
            }
            world.steps(rng.random_range(0..12));
        }
        world.settle();
        for person in [ANN, BOB] {
            world.restart(person);
            assert_eq!(world.calls(person), calls[person], "seed {seed}");
            let all = world.texts_in_history(person);
            for (by, arrow) in [(person, "out"), (other(person), "in")] {
                let want: Vec<_> = texts[by]
                    .iter()
                    .map(|text| format!("{arrow} {text}"))
                    .collect();
                let have: Vec<_> = all
                    .iter()
                    .filter(|text| text.starts_with(arrow))
                    .cloned()
                    .collect();
                assert_eq!(have, want, "seed {seed}");
            }
        }
    }
}
