//! Codes that end, and words begun by either side.

use super::*;
use crate::event::PersonChange;

#[test]
fn an_invitation_whose_code_cannot_be_made_is_a_link_and_a_dead_code_is_said() {
    let mut program = Program::ready();
    program.press('i');
    program.take(Event::Invited {
        link: "hullo:abc".to_owned(),
    });
    let ended = |is_well| Event::CodeEnded {
        words: "The code is dead.".to_owned(),
        is_well,
    };
    program.take(ended(false));
    let reports = program.reports();
    assert!(reports.contains(&&Report::Invite {
        link: "hullo:abc".to_owned(),
        code: None,
    }));
    assert!(reports.contains(&&Report::Notice {
        text: "The code is dead.".to_owned(),
    }));
    let told = program.reports().len();
    program.take(ended(true));
    assert_eq!(
        program.reports().len(),
        told,
        "a code that was used is no news"
    );
}

#[test]
fn words_begun_by_the_other_side_are_shown_and_not_begun_anew() {
    let mut program = Program::ready();
    let contact = program.model.contacts()[0].id;
    program.take(Event::Words {
        contact,
        words: "orbit velvet cactus nominee".to_owned(),
        is_safety: false,
    });
    assert!(
        program.model.overlay.is_none(),
        "nothing jumps on the screen"
    );
    assert_eq!(program.press('w'), []);
    assert!(program.model.overlay == Some(Overlay::Words(contact)));
    let differ = Effect::Person(contact, PersonChange::WordsDiffer);
    assert!(program.press('n').contains(&differ));
    assert_eq!(
        program.press('w'),
        [Effect::Person(contact, PersonChange::CompareWords)],
        "the next time there are new ones"
    );
}
