//! What is said about and around single contacts.

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

pub(crate) fn blocked(name: &str) -> String {
    format!("{name} is blocked: `hullo contacts --unblock {name}` first.")
}

pub(crate) fn link_needed(name: &str) -> String {
    format!("{name} was restored from a backup: add a new link of theirs first ({{add}}).")
}

pub(crate) fn no_such_contact(name: &str) -> String {
    format!(
        "No contact is called `{name}`: `hullo contacts` lists them, `hullo add LINK` makes one."
    )
}
