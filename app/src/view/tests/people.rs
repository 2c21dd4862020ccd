//! Invitations with their codes, and words to compare.

use super::*;
use crate::event::PersonChange;

fn invited() -> Vec<Event> {
    let mut events = start();
    events.extend([
        letter('i'),
        Event::Invited {
            link: format!("hullo:{}", "AbCd0123".repeat(60)),
        },
        Event::Code {
            code: "7314-orbit-velvet".to_owned(),
            link: format!(
                "hullo:7314-orbit-velvet@192.168.100.200:44333/{}",
                "q3cRk-0aXvU7_bTzWm9LePdYhS2NfGjKoI4x6BwVs8Q"
            ),
        },
    ]);
    events
}

#[test]
fn an_invitation_with_its_code() {
    check("invite_code", COLOUR, invited());
    let mut events = invited();
    events.push(Event::CodeEnded {
        words: "Nobody used the code in time: make another.".to_owned(),
        is_well: false,
    });
    check("invite_code_ended", COLOUR, events);
}

#[test]
fn the_qr_code_of_an_invitation_fits_the_smallest_usual_terminal() {
    let mut events = invited();
    events.push(letter('Q'));
    check("invite_qr", COLOUR, events);
}

#[test]
fn words_to_compare() {
    let mut events = start();
    events.extend([letter('j'), letter('w')]);
    check("words_awaited", COLOUR, events.clone());
    for (words, is_safety) in [
        (
            "abandon ability able about above absent absorb abstract absurd abuse access zoo",
            true,
        ),
        ("orbit velvet cactus nominee", false),
    ] {
        events.push(Event::Words {
            contact: BOB,
            words: words.to_owned(),
            is_safety,
        });
    }
    check("words", COLOUR, events.clone());
    let mut model = model(COLOUR, events);
    let effects = update(&mut model, letter('y'));
    let verified = Effect::Person(BOB, PersonChange::WordsMatch);
    assert!(
        effects.contains(&verified) && model.overlay.is_none(),
        "{effects:?}"
    );
}
