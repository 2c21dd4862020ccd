//! Getting into a call: the *Create or Join* steps, and the join steps they end in.

use std::time::Instant;

use super::{Connect, DtlsFingerprint, EnterError, Event, Intent, Lobby, Output, Purpose, Token};
use crate::group::directory::DirectoryError;
use crate::group::http::SfuUrl;
use crate::group::id::{CallId, GroupId, PROTOCOL_VERSION};
use crate::group::join::{self, JoinError, JoinSteps};
use crate::group::key::GroupCallKey;
use crate::group::refresh::{ChosenCall, RunningCall};
use crate::group::wire::{JoinResponse, StartMessage};

/// The one *Create or Join* flow of the application.
pub(super) struct Flow {
    pub(super) group: GroupId,
    intent: Intent,
    fingerprint: DtlsFingerprint,
    /// A token was asked for in the middle, because the one in hand ran out or was refused to a peek.
    token_renewed: bool,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// Step 2.
    AwaitToken,
    /// Step 3.
    AwaitRefresh,
    /// Step 6.
    Joining(Box<Joining>),
}

pub(super) struct Joining {
    steps: JoinSteps,
    call: RunningCall,
    is_new: bool,
    /// What the SFU said, once it did; from then on there is a connection.
    connection: Option<ChosenCall>,
}

/// The call the user is in.
pub(super) struct Participating {
    pub(super) group: GroupId,
    pub(super) call: ChosenCall,
    /// As it is to be joined.
    pub(super) running: RunningCall,
    fingerprint: DtlsFingerprint,
}

impl Flow {
    pub(super) fn next_timeout(&mut self) -> Option<Instant> {
        match &mut self.stage {
            Stage::AwaitToken | Stage::AwaitRefresh => None,
            Stage::Joining(joining) => match joining.steps.poll_output() {
                join::Output::Timeout(at) => at,
                _ => None,
            },
        }
    }
}

impl Lobby {
    /// *Create or Join*: 1. let `intent` be the user's intent. 2. Refresh the token if necessary.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        group: GroupId,
        intent: Intent,
        fingerprint: DtlsFingerprint,
    ) {
        if self.flow.is_some() || self.participating.is_some() {
            return self.event(Event::Failed(group, EnterError::Busy));
        }
        self.flow = Some(Flow {
            group,
            intent,
            fingerprint,
            token_renewed: false,
            stage: Stage::AwaitToken,
        });
        if self.token.valid(now).is_some() {
            self.token_arrived(now, None);
        } else {
            self.renew_token(now);
        }
    }

    /// Once there is a token or none:
    ///
    /// 2. If there is none within 10 s, abort and notify the user.
    /// 3. Run the refresh steps.
    pub(super) fn token_arrived(&mut self, now: Instant, error: Option<DirectoryError>) {
        self.token_arrived_again(now, error);
        let Some(flow) = self
            .flow
            .as_mut()
            .filter(|flow| matches!(flow.stage, Stage::AwaitToken))
        else {
            return;
        };
        match error {
            Some(error) => self.fail(error.into()),
            None => {
                flow.stage = Stage::AwaitRefresh;
                let group = flow.group;
                self.refresh(now, group);
            }
        }
    }

    /// The steps after the refresh:
    ///
    /// 4. No call and only to join: abort and notify the user.
    /// 5. No call: create (but do not send) a start message.
    /// 6. Run the join steps.
    pub(super) fn create_or_join(&mut self, now: Instant, chosen: Option<&ChosenCall>) {
        let Some(flow) = &self.flow else { return };
        let (group, intent) = (flow.group, flow.intent);
        if self.await_token_again(now) {
            return;
        }
        match (chosen, intent) {
            (Some(chosen), _) => self.join_chosen(now, group, chosen),
            (None, Intent::OnlyJoin) => self.fail(EnterError::NotRunning),
            (None, Intent::CreateOrJoin) => match self.create(now, group) {
                Ok(call) => self.join(now, call, true),
                Err(error) => self.fail(error),
            },
        }
    }

    fn create(&mut self, now: Instant, group: GroupId) -> Result<RunningCall, EnterError> {
        let Token::Valid(sfu, _) = &self.token else {
            return Err(DirectoryError::Unreachable.into());
        };
        SfuUrl::check(&sfu.base_url, &sfu.allowed_hostname_suffixes)
            .map_err(|_| EnterError::BadServer)?;
        let start = StartMessage {
            protocol_version: PROTOCOL_VERSION,
            key: GroupCallKey::random(&mut self.rng),
            sfu_base_url: sfu.base_url.clone(),
        };
        let call_id = CallId::derive(&group, PROTOCOL_VERSION, &start.key, &start.sfu_base_url)
            .expect("our own version fits a byte");
        Ok(RunningCall {
            call_id,
            start,
            received_at_ms: self.unix_ms(now),
            failed: 0,
        })
    }

    fn join_chosen(&mut self, now: Instant, group: GroupId, chosen: &ChosenCall) {
        let running = self
            .groups
            .get(&group)
            .map_or(&[][..], |group| &group.running);
        match running
            .iter()
            .find(|call| call.call_id == chosen.call_id)
            .cloned()
        {
            Some(call) => self.join(now, call, false),
            None => self.fail(EnterError::NotRunning),
        }
    }

    /// The token ran out during the steps, or a peek found it refused: back to step 2, once.
    fn await_token_again(&mut self, now: Instant) -> bool {
        let Some(flow) = &mut self.flow else {
            return false;
        };
        if self.token.valid(now).is_some() || std::mem::replace(&mut flow.token_renewed, true) {
            return false;
        }
        flow.stage = Stage::AwaitToken;
        self.renew_token(now);
        true
    }

    /// *Group Call Join Steps*.
    fn join(&mut self, now: Instant, call: RunningCall, is_new: bool) {
        if self.await_token_again(now) {
            return;
        }
        let Some(flow) = &mut self.flow else { return };
        let Some(sfu) = self.token.valid(now) else {
            return self.fail(DirectoryError::Unreachable.into());
        };
        let steps = JoinSteps::new(now, &call, is_new, flow.fingerprint, sfu);
        flow.stage = Stage::Joining(Box::new(Joining {
            steps,
            call,
            is_new,
            connection: None,
        }));
        self.drain_join(now);
    }

    pub(super) fn drive_join(&mut self, now: Instant, input: join::Input) {
        if let Some(Flow {
            stage: Stage::Joining(joining),
            ..
        }) = &mut self.flow
        {
            joining.steps.handle_input(now, input);
            self.drain_join(now);
        }
    }

    fn drain_join(&mut self, now: Instant) {
        loop {
            let Some(Flow {
                group,
                stage: Stage::Joining(joining),
                ..
            }) = &mut self.flow
            else {
                return;
            };
            match joining.steps.poll_output() {
                join::Output::Timeout(_) => return,
                join::Output::Request(request) => self.request(Purpose::Join, request),
                join::Output::Connect(response) => {
                    let connect = joining.connect(*group, *response);
                    self.outputs.push_back(Output::Connect(Box::new(connect)));
                }
                join::Output::Established => self.established(now),
                join::Output::Failed(error) => {
                    if error == JoinError::Unauthorised {
                        // The next try begins with a fresh one.
                        self.token = Token::None;
                    }
                    self.fail(error.into());
                }
            }
        }
    }

    /// Join steps 7 and 8: 7.2 and 7.3 announce a new call, 7.4 add it to the running ones,
    /// 7.5 run the refresh steps.
    fn established(&mut self, now: Instant) {
        let Some(Flow {
            group,
            fingerprint,
            stage: Stage::Joining(joining),
            ..
        }) = self.flow.take()
        else {
            return;
        };
        let Joining {
            call,
            is_new,
            connection,
            ..
        } = *joining;
        let Some(connection) = connection else { return };
        let call_id = call.call_id;
        self.participating = Some(Participating {
            group,
            call: connection,
            running: call.clone(),
            fingerprint,
        });
        if is_new {
            self.outputs
                .push_back(Output::Announce(group, call.start.clone()));
            self.groups
                .entry(group)
                .or_default()
                .add(call, Some(call_id));
            self.event(Event::ListChanged(group));
        }
        self.event(Event::Established(group, call_id));
        if is_new {
            self.refresh(now, group);
        }
    }

    /// Refresh step 8.
    pub(super) fn redirect_join(&mut self, now: Instant, id: GroupId, chosen: &ChosenCall) {
        let Some(Flow {
            group,
            stage: Stage::Joining(joining),
            ..
        }) = &self.flow
        else {
            return;
        };
        if *group == id && (joining.is_new || joining.call.call_id != chosen.call_id) {
            self.drop_join();
            self.join_chosen(now, id, chosen);
        }
    }

    /// Refresh step 9.
    pub(super) fn follow(&mut self, now: Instant, id: GroupId, chosen: &ChosenCall) {
        let elsewhere =
            |own: &mut Participating| own.group == id && own.call.call_id != chosen.call_id;
        let Some(own) = self.participating.take_if(elsewhere) else {
            return;
        };
        self.drop_again();
        self.outputs.push_back(Output::Disconnect);
        self.flow = Some(Flow {
            group: id,
            intent: Intent::OnlyJoin,
            fingerprint: own.fingerprint,
            token_renewed: false,
            stage: Stage::AwaitToken,
        });
        if self.token.valid(now).is_some() {
            self.join_chosen(now, id, chosen);
        } else {
            self.renew_token(now);
        }
    }

    /// The user leaves: *run the refresh steps for the respective group*.
    pub(super) fn left(&mut self, now: Instant) {
        if let Some(own) = self.participating.take() {
            self.drop_again();
            self.refresh(now, own.group);
        }
    }

    pub(super) fn cancel(&mut self) {
        self.drop_join();
        self.flow = None;
    }

    fn fail(&mut self, error: EnterError) {
        let Some(group) = self.flow.as_ref().map(|flow| flow.group) else {
            return;
        };
        self.cancel();
        self.event(Event::Failed(group, error));
    }

    /// Forgets the request in flight, and drops the connection if there is one.
    fn drop_join(&mut self) {
        self.requests.retain(|_, purpose| *purpose != Purpose::Join);
        if let Some(Flow {
            stage: Stage::Joining(joining),
            ..
        }) = &self.flow
            && joining.connection.is_some()
        {
            self.outputs.push_back(Output::Disconnect);
        }
    }
}

impl Joining {
    fn connect(&mut self, group: GroupId, response: JoinResponse) -> Connect {
        self.connection = Some(ChosenCall {
            call_id: self.call.call_id,
            started_at_ms: response.started_at_ms,
            max_participants: response.max_participants,
            state: None,
        });
        Connect {
            group,
            call_id: self.call.call_id,
            start: self.call.start.clone(),
            response,
        }
    }
}
