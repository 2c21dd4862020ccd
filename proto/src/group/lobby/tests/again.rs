use super::*;

/// In the call of group 1.
fn inside() -> Net {
    let mut net = Net::with_call();
    net.input(Input::Enter(group(1), Intent::OnlyJoin, FINGERPRINT));
    net.input(Input::HelloReceived);
    assert!(
        net.events
            .contains(&Event::Established(group(1), call_id(1, 1)))
    );
    net.events.clear();
    net
}

#[test]
fn a_second_connection_is_for_the_same_call_and_leaves_the_first() {
    let mut net = inside();
    net.input(Input::JoinAgain(FINGERPRINT));
    assert_eq!(net.beside, [call_id(1, 1)]);
    assert_eq!(net.joins, [call_id(1, 1); 2]);
    assert_eq!((net.connects.len(), net.disconnects), (1, 0));
    assert!(net.lobby.is_busy());
    net.input(Input::JoinAgain(FINGERPRINT));
    assert_eq!(net.beside.len(), 2, "as often as it takes");
}

#[test]
fn no_place_for_it_is_said_and_the_call_goes_on() {
    let mut net = inside();
    net.join_status = 503;
    net.input(Input::JoinAgain(FINGERPRINT));
    assert_eq!(
        net.events,
        [Event::NotAgain(group(1), JoinError::Full.into())]
    );
    net.silent = true;
    net.input(Input::JoinAgain(FINGERPRINT));
    net.now += JOIN_TIMEOUT;
    net.input(Input::Timeout);
    let unreachable = Event::NotAgain(group(1), JoinError::Unreachable.into());
    assert!(net.events.contains(&unreachable));
    assert!(net.lobby.is_busy() && net.beside.is_empty() && net.disconnects == 0);
}

#[test]
fn a_refused_token_is_renewed_for_the_next_try() {
    let mut net = inside();
    let given = net.tokens_given;
    net.join_status = 401;
    net.input(Input::JoinAgain(FINGERPRINT));
    net.join_status = 200;
    net.input(Input::JoinAgain(FINGERPRINT));
    assert_eq!((net.beside.len(), net.tokens_given), (1, given + 1));
}

#[test]
fn outside_of_a_call_and_after_leaving_nothing_comes_of_it() {
    let mut net = Net::with_call();
    net.input(Input::JoinAgain(FINGERPRINT));
    let mut left = inside();
    left.silent = true;
    left.input(Input::JoinAgain(FINGERPRINT));
    left.input(Input::Left);
    left.now += JOIN_TIMEOUT;
    left.input(Input::Timeout);
    for net in [net, left] {
        let again = |event: &Event| matches!(event, Event::NotAgain(..));
        assert!(net.beside.is_empty() && !net.events.iter().any(again));
    }
}
