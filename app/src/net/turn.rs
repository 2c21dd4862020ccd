//! TURN servers from our own server's directory, asked for when a call needs them: the directory then learns that the
//! holder of our key is at this address, which it is not told before.

use std::time::Instant;

use hullo_proto::group::directory::{DirectorySteps, Input, Output};
use hullo_proto::group::http::HttpResult;
use hullo_proto::group::id::Identity;
use hullo_proto::group::key::ClientKey;
use hullo_proto::service::turn::TurnGrant;
use hullo_signalling::server_url::ServerUrl;
use tokio::time::timeout_at;

use super::https;

/// Asks the directory beside the relay at `url`; `None` when it has none to give, or gives us none.
pub(super) async fn ask(
    now: Instant,
    url: &ServerUrl,
    identity: Identity,
    key: ClientKey,
) -> Option<TurnGrant> {
    let mut steps = DirectorySteps::new(now, &url.to_string(), identity, key);
    let mut deadline = None;
    loop {
        match steps.poll_output() {
            Output::Done(result) => return result.ok()?.turn,
            Output::Timeout(None) => return None,
            Output::Timeout(at) => deadline = at,
            Output::Request(request) => {
                let until = deadline.unwrap_or(now + request.timeout);
                let run = https::post(request, Some(*url.pin()), false);
                let result = match timeout_at(until.into(), run).await {
                    Ok(answer) => answer.result,
                    Err(_late) => HttpResult::Unreachable,
                };
                steps.handle_input(now, Input::Response(result));
            }
        }
    }
}
