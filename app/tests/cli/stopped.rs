//! Ctrl-Z in a call: the other side is told before the program stops, and when it goes on.

#[allow(dead_code, reason = "the tests of the terminal use the rest")]
#[path = "../kit/tmux.rs"]
mod tmux;

use super::*;
use tmux::{Tmux, is_installed};

#[test]
fn the_other_side_hears_of_ctrl_z_before_the_program_stops_and_of_fg() {
    if !is_installed("tmux") {
        return;
    }
    let server = Server::start();
    let (alice, bob) = ready_contacts(&server);
    let mut answer = Hullo::spawn(&bob, &call_args(&["answer"]));
    answer.wait_for("ready", PATIENCE);
    let shell = "env -u NO_COLOR -u CLICOLOR -u ENV LANG=C.UTF-8 'PS1=shell> ' sh -i";
    let tmux = Tmux::start((80, 24), shell);
    tmux.wait_for("shell>");
    let devices = ["--camera", "none", "--mic", "test", "--speaker", "none"];
    let mut call = vec!["call", "bob"];
    call.extend(devices);
    tmux.enter(&alice.typed(&call));
    answer.wait_for_call("connected", PATIENCE);
    tmux.wait_for("in call with bob");
    let held = |on: bool| {
        move |event: &Value| {
            event["event"] == "participant" && event["change"] == "hold" && event["on"] == on
        }
    };
    answer.forget();
    tmux.press("C-z");
    answer.wait_until(PATIENCE, held(true));
    tmux.wait_for("`fg` goes on");
    // What is typed before the shell is back may still be taken by the program.
    tmux.wait_until("the shell", |shown| shown.trim_end().ends_with("shell>"));
    tmux.enter("fg");
    answer.wait_until(PATIENCE, held(false));
    tmux.wait_until("the call goes on", |shown| {
        shown.contains("in call with bob") && !shown.contains("ON HOLD")
    });
    tmux.press("H");
    assert_eq!(answer.finish(PATIENCE).code, 0);
}
