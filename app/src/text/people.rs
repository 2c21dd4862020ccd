//! What is said about and around single contacts.

use crate::event::Party;
use crate::model::Model;

/// The words of a contact were different when they were compared last. Stands where `unverified` does.
pub(crate) const WORDS_DIFFER: &str = "WORDS DIFFER";
pub(crate) const WORDS_DIFFERED: &str = "WORDS DIFFER: when you compared them ({words}), they were not the same. Somebody may \
    stand between you: remove this contact, and make it anew by a way you trust.";

/// The same where there is no screen.
pub(crate) fn words_differed(name: &str) -> String {
    format!(
        "{name} is a contact whose words were different when you compared them: somebody may stand between you. \
         `hullo contacts --remove {name}`, and make it anew by a way you trust."
    )
}

/// Whether words were compared with whom a call is with, and how that went, in a word.
pub(crate) fn trust(model: &Model, party: Party) -> &'static str {
    let contact = match party {
        Party::Contact(contact) => model.contact(contact),
        // Each member is vouched for on its own.
        Party::Group(_) => None,
    };
    match contact {
        Some(contact) if contact.verified => "verified",
        Some(contact) if model.do_words_differ(contact) => WORDS_DIFFER,
        _ => "unverified",
    }
}

/// The same after a name, where it is to be said at all.
pub(crate) fn trust_after(trust: &str) -> String {
    match trust {
        "verified" => String::new(),
        other => format!(" ({other})"),
    }
}

pub(crate) fn not_ready(name: &str) -> String {
    format!("{name} has not answered the invitation yet: try again when they are online.")
}

pub(crate) fn now_verified(name: &str) -> String {
    format!("{name} is verified.")
}

pub(crate) fn words_alone(name: &str) -> String {
    format!("The program of {name} does not answer now: compare the twelve words.")
}

pub(crate) fn wants_words(name: &str) -> String {
    format!("{name} compares words with you: choose {name} and press {{words}}.")
}

/// Somebody blocked, in the call of a group, is not to be made louder.
pub(crate) fn blocked_in_call(name: &str) -> String {
    format!("{name} is blocked, so you neither hear nor see {name} here: unblock {name} first.")
}

pub(crate) fn blocked(name: &str) -> String {
    format!("{name} is blocked: `hullo contacts --unblock {name}` first.")
}

pub(crate) fn link_needed(name: &str) -> String {
    format!("{name} was restored from a backup: add a new link of theirs first (`hullo add LINK`).")
}

pub(crate) fn no_such_contact(name: &str) -> String {
    format!(
        "No contact is called `{name}`: `hullo contacts` lists them, `hullo add LINK` makes one."
    )
}
