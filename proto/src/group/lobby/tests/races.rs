//! What happens while the refresh steps run.

use super::*;

impl Net {
    /// The peeks that were kept are answered now.
    fn answer_late(&mut self) {
        self.silent_peeks = false;
        let requests = std::mem::take(&mut self.unanswered);
        self.answer(requests);
    }

    /// With a call of our own, established while a peek of an older one was under way.
    fn created_during_a_peek() -> (Self, CallId) {
        let mut net = Self::with_call();
        net.silent_peeks = true;
        net.enter(Intent::CreateOrJoin);
        net.pass(PEEK_TIMEOUT);
        net.input(Input::HelloReceived);
        net.pass(Duration::from_secs(1));
        net.unanswered.clear();
        net.input(Input::Refresh(group(1)));
        assert_eq!(net.unanswered.len(), 1);
        net.pass(CREATE_DELAY);
        let own = net.established().expect("created");
        (net, own)
    }
}

#[test]
fn a_call_announced_during_a_refresh_is_peeked_right_after_it() {
    let mut net = Net::with_call();
    net.silent_peeks = true;
    net.input(Input::Refresh(group(1)));
    net.calls.insert(call_id(1, 2), 9);
    net.input(Input::Start(group(1), start(2)));
    net.answer_late();
    assert_eq!(net.running_now(), Some(call_id(1, 2)));
}

#[test]
fn the_call_the_user_is_in_runs_whatever_an_earlier_refresh_says() {
    let (mut net, own) = Net::created_during_a_peek();
    net.events.clear();
    net.pass(PEEK_TIMEOUT);
    assert_eq!(net.running_now(), Some(own));
}

#[test]
fn an_earlier_refresh_does_not_move_the_user_to_an_older_call() {
    let (mut net, own) = Net::created_during_a_peek();
    net.answer_late();
    assert_eq!((net.running_now(), net.disconnects), (Some(own), 0));
}

#[test]
fn an_earlier_peek_does_not_end_the_call_the_user_is_in() {
    let mut net = Net::with_call();
    net.enter(Intent::OnlyJoin);
    net.silent_peeks = true;
    net.input(Input::Refresh(group(1)));
    net.input(Input::HelloReceived);
    net.calls.clear();
    net.answer_late();
    assert_eq!(net.running_now(), Some(call_id(1, 1)));
    assert_eq!(net.lobby.running(&group(1)).len(), 1);
}

#[test]
fn a_token_that_runs_out_during_the_steps_is_renewed_once() {
    let mut net = Net::with_call();
    net.pass(Duration::from_secs(3_598));
    net.silent_peeks = true;
    net.enter(Intent::OnlyJoin);
    net.now += Duration::from_secs(3);
    net.answer_late();
    net.input(Input::HelloReceived);
    assert_eq!((net.failed(), net.tokens_given), (None, 2));
    assert_eq!(net.established(), Some(call_id(1, 1)));
}

#[test]
fn no_token_in_the_middle_of_the_steps_fails_with_words() {
    let mut net = Net::with_call();
    net.pass(Duration::from_secs(3_598));
    net.silent_peeks = true;
    net.enter(Intent::OnlyJoin);
    net.now += Duration::from_secs(3);
    net.directory_down = true;
    net.answer_late();
    net.pass(Duration::from_secs(10));
    let error = EnterError::NoToken(DirectoryError::Unreachable);
    assert_eq!((net.failed(), net.established()), (Some(error), None));
}
