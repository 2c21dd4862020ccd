//! The state of the link to the server in words.

use super::*;

/// The server's state at the right of the status bar.
pub(crate) fn server_state(model: &Model) -> String {
    match &model.server {
        _ if model.mode == Mode::Mirror => MIRROR_SENDS.to_owned(),
        _ if model
            .profile
            .as_ref()
            .is_some_and(|profile| !profile.has_server) =>
        {
            "no server set".to_owned()
        }
        Server::Down(_) => "SERVER DOWN".to_owned(),
        Server::Stuck(_) => "DISK FULL?".to_owned(),
        _ if model.settings.do_not_disturb => DO_NOT_DISTURB.to_owned(),
        Server::Unknown => "reaching the server...".to_owned(),
        Server::Up => "server up".to_owned(),
    }
}

/// Whether the state of the server must be seen at once.
pub(crate) fn is_server_alarm(model: &Model) -> bool {
    model.mode != Mode::Mirror && matches!(model.server, Server::Down(_) | Server::Stuck(_))
}

pub(crate) fn server_down(reason: &str) -> String {
    let reason = if reason.is_empty() {
        "no reason known"
    } else {
        reason
    };
    sentence(&format!("The server does not answer: {reason}"))
}

/// The server answers, and our own store keeps nothing.
pub(crate) fn server_stuck(reason: &str) -> String {
    sentence(&format!("Nothing new is received: {reason}"))
}

/// The link to the server, in the middle of a sentence.
pub(crate) fn server_words(server: &Server) -> String {
    match server {
        Server::Unknown => "server not reached yet".to_owned(),
        Server::Up => "server up".to_owned(),
        Server::Down(reason) => format!("server down ({reason})"),
        Server::Stuck(reason) => format!("server up, but nothing is received ({reason})"),
    }
}
