//! Refreshing: the token, and the steps of each group with what follows from them.

use std::time::Instant;

use super::enter::Stage;
use super::{Event, Lobby, Purpose, Token};
use crate::group::directory::{self, DirectorySteps};
use crate::group::http::SfuInformation;
use crate::group::id::GroupId;
use crate::group::refresh::{self, Refresh, Refreshed, Verdict, more_recent};

impl Lobby {
    /// Runs the *Group Call Refresh Steps* for a group; while they run already, once more when they are through,
    /// since they look at the calls that were known when they began.
    pub(super) fn refresh(&mut self, now: Instant, id: GroupId) {
        let unix_ms = self.unix_ms(now);
        let participating = self
            .participating
            .as_ref()
            .filter(|own| own.group == id)
            .map(|own| &own.call);
        let sfu = self.token.valid(now);
        let group = self.groups.entry(id).or_default();
        if group.refresh.is_some() {
            group.refresh_again = true;
            return;
        }
        group.refresh = Some(Refresh::new(
            now,
            unix_ms,
            &group.running,
            participating,
            sfu,
        ));
        self.drain_refresh(now, id);
    }

    /// Gives one input to a group's steps, if they run, and drains them.
    pub(super) fn drive_refresh(
        &mut self,
        now: Instant,
        id: GroupId,
        input: impl FnOnce(&mut Refresh, Option<&SfuInformation>),
    ) {
        let Some(refresh) = self
            .groups
            .get_mut(&id)
            .and_then(|group| group.refresh.as_mut())
        else {
            return;
        };
        input(refresh, self.token.valid(now));
        self.drain_refresh(now, id);
    }

    fn drain_refresh(&mut self, now: Instant, id: GroupId) {
        loop {
            let Some(refresh) = self
                .groups
                .get_mut(&id)
                .and_then(|group| group.refresh.as_mut())
            else {
                return;
            };
            match refresh.poll_output() {
                refresh::Output::Timeout(_) => return,
                refresh::Output::Peek(call, request) => {
                    self.request(Purpose::Peek(id, call), request)
                }
                // The token in hand was refused (or there is none): it is of no use to anyone.
                refresh::Output::TokenNeeded => self.renew_token(now),
                refresh::Output::Warning(warning) => self.event(Event::Warning(id, warning)),
                refresh::Output::Done(refreshed) => self.refreshed(now, id, refreshed),
            }
        }
    }

    /// Refresh steps 4 and 6 to 10.
    fn refreshed(&mut self, now: Instant, id: GroupId, refreshed: Refreshed) {
        self.requests
            .retain(|_, purpose| !matches!(purpose, Purpose::Peek(group, _) if *group == id));
        let is_active = self.is_active;
        // 3.1 once more: the user may have come into a call since the steps began.
        let own = self.participating.as_ref().filter(|own| own.group == id);
        let own = own.map(|own| own.call.clone());
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        group.refresh = None;
        let again = std::mem::take(&mut group.refresh_again);
        let chosen = more_recent(refreshed.chosen, own.clone());
        let is_own =
            |verdict: &&Verdict| Some(verdict.call_id) == own.as_ref().map(|own| own.call_id);
        let mut is_changed = false;
        for verdict in refreshed.verdicts.iter().filter(|verdict| !is_own(verdict)) {
            if verdict.remove {
                group.running.retain(|call| call.call_id != verdict.call_id);
                is_changed = true;
            } else if let Some(call) = group
                .running
                .iter_mut()
                .find(|call| call.call_id == verdict.call_id)
            {
                is_changed |= std::mem::replace(&mut call.failed, verdict.failed) != verdict.failed;
            }
        }
        // 4. If `running` is empty, cancel the timer; otherwise (re)start it.
        group.next_refresh =
            (!group.running.is_empty() && is_active).then(|| now + group.interval());
        if is_changed {
            self.event(Event::ListChanged(id));
        }
        // 6. Signal that no group call runs. 7. Signal the chosen call.
        self.event(Event::Running(id, chosen.clone()));
        if let Some(chosen) = chosen.as_ref() {
            // 8. If the join steps run with a different (or new) call, cancel and restart them with this one.
            self.redirect_join(now, id, chosen);
            // 9. If the user is in a different call of this group, leave it and only join this one.
            self.follow(now, id, chosen);
        }
        // 10. Return the chosen call.
        if self
            .flow
            .as_ref()
            .is_some_and(|flow| flow.group == id && matches!(flow.stage, Stage::AwaitRefresh))
        {
            self.create_or_join(now, chosen.as_ref());
        }
        if again {
            self.refresh(now, id);
        }
    }

    /// Drops the token in hand and asks for another, unless one is being asked for.
    pub(super) fn renew_token(&mut self, now: Instant) {
        if matches!(self.token, Token::Refreshing(_)) {
            return;
        }
        let steps = DirectorySteps::new(
            now,
            &self.config.directory_url,
            self.config.identity,
            self.config.key.clone(),
        );
        self.token = Token::Refreshing(Box::new(steps));
        self.drain_token(now);
    }

    pub(super) fn drive_token(&mut self, now: Instant, input: directory::Input) {
        if let Token::Refreshing(steps) = &mut self.token {
            steps.handle_input(now, input);
            self.drain_token(now);
        }
    }

    fn drain_token(&mut self, now: Instant) {
        let result = loop {
            let Token::Refreshing(steps) = &mut self.token else {
                return;
            };
            match steps.poll_output() {
                directory::Output::Timeout(_) => return,
                directory::Output::Request(request) => self.request(Purpose::Directory, request),
                directory::Output::Done(result) => break result,
            }
        };
        self.requests
            .retain(|_, purpose| *purpose != Purpose::Directory);
        let error = match result {
            Ok(sfu) => {
                let until = now.checked_add(sfu.lifetime).unwrap_or(now);
                self.token = Token::Valid(sfu, until);
                None
            }
            Err(error) => {
                self.token = Token::None;
                Some(error)
            }
        };
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.drive_refresh(now, id, |refresh, sfu| {
                refresh.handle_input(now, refresh::Input::Token(sfu))
            });
        }
        self.token_arrived(now, error);
    }
}

impl Token {
    pub(super) fn valid(&self, now: Instant) -> Option<&SfuInformation> {
        match self {
            Self::Valid(sfu, until) if now < *until => Some(sfu),
            Self::Valid(..) | Self::None | Self::Refreshing(_) => None,
        }
    }
}
