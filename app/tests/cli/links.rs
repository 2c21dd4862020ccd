//! Links that are out: listed, and taken back.

use super::*;

#[test]
fn a_link_that_was_withdrawn_makes_nobody_a_contact() {
    let server = Server::start();
    let (alice, bob) = (Home::new(), Home::new());
    for (home, name) in [(&alice, "alice"), (&bob, "bob")] {
        home.run(&["name", name, "--server", server.url()])
            .success();
    }
    let none = alice.run(&["invite", "--list"]).success();
    assert!(none.says("No link is open"), "{}", none.shown());
    let invite = alice.run(&["invite", "--json"]).success();
    let link = invite.event("invite")["link"].as_str().unwrap().to_owned();
    let listed = alice.run(&["invite", "--list", "--json"]).success();
    let until = listed.event("links")["until_ms"].clone();
    assert_eq!(until.as_array().map(Vec::len), Some(1), "{until}");
    // Through the program that owns the profile as well as without one.
    let mut running = Hullo::spawn(&alice, &["--json"]);
    running.wait_for("ready", PATIENCE);
    let listed = alice.run(&["invite", "--list"]).success();
    assert!(listed.says("One link is open"), "{}", listed.shown());
    let withdrawn = alice.run(&["invite", "--withdraw"]).success();
    assert!(
        withdrawn.says("One link was withdrawn"),
        "{}",
        withdrawn.shown()
    );
    running.wait_until(PATIENCE, |event| {
        event["event"] == "server" && event["up"] == true
    });
    let none = alice.run(&["invite", "--list"]).success();
    assert!(none.says("No link is open"), "{}", none.shown());
    running.write("quit");
    running.finish(PATIENCE).success();
    bob.run_with_input(&["add", "-"], &link);
    let contacts = alice.run(&["contacts", "--json"]).success();
    assert!(!contacts.says("bob"), "{}", contacts.shown());
}
