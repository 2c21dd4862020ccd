//! What is said while the stage of a demo is set.

/// Before anything else: people are processes, and processes take a moment.
pub(crate) fn crowd_starts(people: u16) -> String {
    if people == 1 {
        "Starting a server and one other on this machine: a few seconds…".to_owned()
    } else {
        format!("Starting a server and {people} people on this machine: a few seconds…")
    }
}

/// The same for a call of two.
pub(crate) const FRIEND_STARTS: &str = "Starting a server and a friend on this machine…";
pub(crate) const CROWD_MEETS: &str = "They get to know one another and make a group…";
