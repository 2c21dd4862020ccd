//! Notifications of the desktop, where a session bus is: on a thread of its own, because a bus may take its time.
//!
//! Not over ssh: a bus there belongs to a screen nobody sits at.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use notify_rust::{Hint, Notification, NotificationHandle, Timeout, Urgency};

/// Requests under way: a call has two, and more than a few mean that the bus does not answer; they are dropped then.
const REQUESTS_MAX: usize = 8;

enum Request {
    Show { title: String, body: String },
    End,
}

/// The desktop. The thread is made with the first request.
pub struct Desktop {
    requests: Option<SyncSender<Request>>,
    is_there: bool,
}

impl Desktop {
    /// Looks at the environment for a session bus in front of somebody.
    #[must_use]
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        Self {
            requests: None,
            is_there: is("DBUS_SESSION_BUS_ADDRESS") && !is("SSH_CONNECTION") && !is("SSH_TTY"),
        }
    }

    /// Whether there is a desktop to notify.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Shows it.
    pub fn show(&mut self, title: String, body: String) {
        self.ask(Request::Show { title, body });
    }

    /// Takes it back.
    pub fn end(&mut self) {
        self.ask(Request::End);
    }

    fn ask(&mut self, request: Request) {
        if !self.is_there {
            return;
        }
        let requests = self.requests.get_or_insert_with(|| {
            let (requests, inbox) = sync_channel(REQUESTS_MAX);
            crate::threads::detach("desktop", move || serve(&inbox));
            requests
        });
        if requests.try_send(request).is_err() {
            tracing::info!("the desktop does not answer");
        }
    }
}

fn serve(requests: &Receiver<Request>) {
    let mut shown: Option<NotificationHandle> = None;
    for request in requests {
        if let Some(before) = shown.take() {
            before.close();
        }
        if let Request::Show { title, body } = request {
            match notification(&title, &body).show() {
                Ok(handle) => shown = Some(handle),
                Err(error) => tracing::info!(%error, "the desktop shows no notification"),
            }
        }
    }
    if let Some(before) = shown {
        before.close();
    }
}

fn notification(title: &str, body: &str) -> Notification {
    Notification::new()
        .appname("Hullo")
        .summary(title)
        .body(body)
        .icon("call-start")
        .hint(Hint::Category("call.incoming".to_owned()))
        .urgency(Urgency::Critical)
        // It goes when the ringing ends, not by a clock of its own.
        .timeout(Timeout::Never)
        .finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bus_in_front_of_somebody_counts() {
        let detect = |set: &'static [&str]| {
            Desktop::detect(|name| set.contains(&name).then(|| "x".to_owned())).is_there()
        };
        assert!(detect(&["DBUS_SESSION_BUS_ADDRESS"]));
        assert!(!detect(&[]));
        assert!(!detect(&["DBUS_SESSION_BUS_ADDRESS", "SSH_CONNECTION"]));
    }
}
