//! Our own addresses of a session, and what it does when the peer falls silent.

use std::net::SocketAddr;

use str0m::stats::CandidatePairStats;
use str0m::{Candidate, CandidateKind};

use super::hearing::Silence;
use super::{Event, Output, Session, setup};
use crate::reach::LocalCandidate;

impl Session {
    pub(super) fn add_local(&mut self, local: LocalCandidate) {
        if let Some(candidate) = setup::candidate(local)
            && !self.local_candidates.contains(&candidate)
        {
            self.rtc.add_local_candidate(candidate.clone());
            self.local_candidates.push(candidate);
        }
        self.feed(None);
    }

    pub(super) fn remove_local(&mut self, local: LocalCandidate) {
        if let Some(candidate) = setup::candidate(local) {
            self.rtc.direct_api().invalidate_candidate(&candidate);
            self.local_candidates.retain(|known| *known != candidate);
        }
        self.feed(None);
    }

    /// Kinds of the two addresses in use, as `host/relay`; the addresses themselves are told to nobody.
    pub(super) fn pair_kinds(&self, pair: &CandidatePairStats) -> String {
        let local = kind_of(&self.local_candidates, pair.local.addr);
        let remote = kind_of(&self.remote_candidates, pair.remote.addr);
        format!("{local}/{remote}")
    }

    /// Notices silence, and looks for another way while it lasts.
    pub(super) fn listen(&mut self) {
        match self.hearing.look(self.now) {
            Some(Silence::Begun) => {
                self.outputs.push_back(Output::Event(Event::Interrupted));
                self.check_anew();
            }
            Some(Silence::LastsOn | Silence::Moved) => self.check_anew(),
            None => {}
        }
    }

    /// Checks all pairs again as if they were new: those that failed long ago may lead to the peer now, and one that
    /// still counts as good may not (RFC 8445 knows no way back for either without a restart).
    fn check_anew(&mut self) {
        for candidate in self.local_candidates.clone() {
            if self.rtc.direct_api().invalidate_candidate(&candidate) {
                self.rtc.add_local_candidate(candidate);
            }
            self.drain();
        }
        self.feed(None);
        self.drain();
    }
}

/// An address that nobody told was found by a check that came from it.
fn kind_of(candidates: &[Candidate], address: SocketAddr) -> CandidateKind {
    let told = candidates.iter().find(|it| it.addr() == address);
    told.map_or(CandidateKind::PeerReflexive, Candidate::kind)
}
