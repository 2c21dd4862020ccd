//! What the outside is told, as far as it explains a run afterwards: states and failures, no words of people.

use crate::report::Report;

/// Logs it.
pub fn note(report: &Report) {
    match report {
        Report::Server {
            up: true,
            reason: Some(reason),
        } => tracing::error!(target: "hullo", reason, "what the server says cannot be kept"),
        Report::Server { up: true, .. } => tracing::info!(target: "hullo", "the server answers"),
        Report::Server { up: false, reason } => {
            let reason = reason.as_deref().unwrap_or("no reason known");
            tracing::warn!(target: "hullo", reason, "the server does not answer");
        }
        Report::Call { state, reason, .. } => {
            let reason = reason.unwrap_or("");
            tracing::info!(target: "hullo", state, reason, "the call's state");
        }
        Report::Error { text } => tracing::warn!(target: "hullo", text, "failed"),
        Report::Summary(_) => tracing::info!(target: "hullo", "the call is over"),
        _ => {}
    }
}
