//! A call that goes out, until somebody answers.

use super::*;

#[test]
fn a_call_that_nobody_answers_says_what_is_known() {
    let shown = |now_ms: u64, is_up: bool| {
        let mut model = model(COLOUR, vec![Event::Resize(80, 24)]);
        for event in inviting() {
            let _ = update(&mut model, event);
        }
        let server = Event::Server {
            up: is_up,
            reason: None,
        };
        let _ = update(&mut model, server);
        model.set_now(now_ms);
        model.message = None;
        drawn(&model, (80, 24)).to_string()
    };
    assert!(shown(3_000, true).contains("Sending the call..."));
    assert!(shown(6_000, true).contains("The server has it; bob's Hullo"));
    assert!(!shown(6_000, false).contains("The server has it"));
}
