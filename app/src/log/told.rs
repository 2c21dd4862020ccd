//! What the outside is told, as far as it explains a run afterwards: states and failures, no words of people.

use crate::report::Report;

/// Logs it.
pub fn note(report: &Report) {
    match report {
        Report::Server { up: true, .. } => tracing::info!("the server answers"),
        Report::Server { up: false, reason } => {
            let reason = reason.as_deref().unwrap_or("no reason known");
            tracing::warn!(reason, "the server does not answer");
        }
        Report::Call { state, reason, .. } => {
            let reason = reason.unwrap_or("");
            tracing::info!(state, reason, "the call's state");
        }
        Report::Error { text } => tracing::warn!(text, "failed"),
        Report::Summary(_) => tracing::info!("the call is over"),
        _ => {}
    }
}
