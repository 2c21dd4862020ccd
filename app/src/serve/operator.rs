//! `/health` and `/metrics` of all that is served.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hullo_relay::server::{Peer, Watch};
use hullo_sfu::server::Sfu;

#[derive(Clone)]
struct Parts {
    relay: Watch,
    calls: Option<Arc<Sfu>>,
}

/// `calls`: the SFU, where there is one.
pub(super) fn router(relay: Watch, calls: Option<Arc<Sfu>>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(Parts { relay, calls })
}

/// 200 when clients are served; 503, for a balancer to look elsewhere, while messages cannot be stored or no new call is
/// taken.
async fn health(State(parts): State<Parts>) -> Response {
    let refusal = if !parts.relay.is_well() {
        "the relay cannot store messages at present\n"
    } else if parts.calls.is_some_and(|calls| calls.is_draining()) {
        "draining: no new calls\n"
    } else {
        return "ok\n".into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, refusal).into_response()
}

/// Counts. Only for this machine: from afar they would tell when people talk.
async fn metrics(State(parts): State<Parts>, Extension(peer): Extension<Peer>) -> Response {
    if !peer.0.to_canonical().is_loopback() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut page = parts.relay.metrics();
    if let Some(calls) = parts.calls {
        page += &calls.metrics();
    }
    // What a Prometheus server expects of the text format.
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, page).into_response()
}
