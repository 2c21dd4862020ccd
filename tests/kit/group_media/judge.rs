//! What must hold in such a world at every moment, and how well it went.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;

use super::seat::Arrived;
use super::{CATCH_UP_MAX, World};

/// Sound and pictures by whom they concern.
type Figures<K> = BTreeMap<K, (u64, u64)>;

/// How well everybody heard and saw everybody else, in percent of what was sent. All zero: somebody was not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Sound, of the pair for which it went worst.
    pub sound_least: u64,
    /// Pictures, of the pair for which it went worst.
    pub pictures_least: u64,
    /// Pictures, of all pairs.
    pub pictures_mean: u64,
}

impl Quality {
    /// Next to nothing is missing.
    #[must_use]
    pub fn is_perfect(self) -> bool {
        self.sound_least >= 98 && self.pictures_least >= 98
    }
}

/// How one person's sound reaches everybody else, whichever connection it comes by.
pub(super) struct Watch {
    person: usize,
    since: Instant,
    /// By listener: when the last came, the longest silence, how many came.
    listeners: BTreeMap<usize, (Instant, Duration, u64)>,
}

impl World {
    /// From now on it is noted how the sound of this person reaches everybody else.
    pub fn watch(&mut self, person: usize) {
        self.watch = Some(Watch {
            person,
            since: self.now,
            listeners: BTreeMap::new(),
        });
    }

    /// The longest silence that anybody had of the watched person, and the fewest blocks that anybody got.
    #[must_use]
    pub fn heard_of_watched(&self) -> (Duration, u64) {
        let Some(watch) = &self.watch else {
            return (Duration::MAX, 0);
        };
        let others = (0..self.people.len()).filter(|&index| index != watch.person);
        others.fold((Duration::ZERO, u64::MAX), |(gap, least), index| {
            let nothing = (watch.since, Duration::ZERO, 0);
            let (last, longest, count) = watch.listeners.get(&index).copied().unwrap_or(nothing);
            (gap.max(longest).max(self.now - last), least.min(count))
        })
    }

    /// No foreign key opens: not that of somebody who left, not that of another participant.
    pub(super) fn try_on_others(
        &mut self,
        index: usize,
        from: ParticipantId,
        track: Track,
        sealed: &[u8],
    ) {
        let now = self.now;
        for ghost in &mut self.ghosts {
            if now - ghost.left_at > CATCH_UP_MAX && ghost.id != from {
                let opened = ghost.call.open(now, from, track, sealed);
                assert!(
                    opened.is_err(),
                    "seed {}: {} opened after it left",
                    self.seed,
                    ghost.id
                );
                self.counts.refused += 1;
            }
        }
        for (other, person) in self.people.iter_mut().enumerate() {
            let Some(seat) = person.seats.first_mut().filter(|_| other != index) else {
                continue;
            };
            let claimed = seat.roster().into_iter().find(|&id| id != from);
            if let Some(claimed) = claimed {
                let opened = seat.call.open(now, claimed, track, sealed);
                assert!(
                    opened.is_err(),
                    "seed {}: a frame opened under another's name",
                    self.seed
                );
                self.counts.refused += 1;
            }
        }
    }

    /// Counts a frame that opened at person `to`.
    pub(super) fn note(&mut self, to: usize, frame: &Arrived) {
        if frame.track != Track::Microphone {
            self.counts.pictures += 1;
            return;
        }
        self.counts.sound += 1;
        let Some(watch) = &mut self.watch else {
            return;
        };
        if self.owners.get(&frame.participant) == Some(&watch.person) && to != watch.person {
            let entry = watch
                .listeners
                .entry(to)
                .or_insert((watch.since, Duration::ZERO, 0));
            *entry = (self.now, entry.1.max(self.now - entry.0), entry.2 + 1);
        }
    }

    /// What must hold at every moment.
    pub(super) fn check(&mut self) {
        // Those who went may be listed until the news is there, but nobody who never came.
        let others_max = usize::try_from(self.counts.joins).unwrap_or(usize::MAX);
        for person in &mut self.people {
            for seat in &person.seats {
                let others = seat.call.participants().count();
                assert!(
                    others < others_max,
                    "seed {}: {others} people on a roster",
                    self.seed
                );
            }
            person.seats.retain(|seat| !seat.over);
        }
    }

    /// Whether everybody sees everybody, once each.
    #[must_use]
    pub fn rosters_agree(&self) -> bool {
        let ids: Vec<ParticipantId> = self
            .people
            .iter()
            .flat_map(|person| &person.seats)
            .map(|seat| seat.id)
            .collect();
        self.people
            .iter()
            .flat_map(|person| &person.seats)
            .all(|seat| {
                let mut roster = seat.roster();
                let mut others: Vec<_> = ids.iter().copied().filter(|&id| id != seat.id).collect();
                roster.sort_unstable();
                others.sort_unstable();
                roster == others
            })
    }

    /// What everybody heard and saw of everybody else in `duration`.
    pub fn measure(&mut self, duration: Duration) -> Quality {
        let before = self.figures();
        self.run(duration);
        let after = self.figures();
        let percent = |got: u64, of: u64| (got * 100).checked_div(of).unwrap_or(0);
        let mut pairs = Vec::new();
        for person in &self.people {
            // A second connection sends nothing.
            let Some(by) = person.seats.first().map(|seat| seat.id) else {
                return Quality::default();
            };
            let of = |figures: &Figures<_>| figures.get(&by).copied().unwrap_or_default();
            let (sent, sent_before) = (of(&after.1), of(&before.1));
            for other in self
                .people
                .iter()
                .filter(|other| other.identity != person.identity)
            {
                let Some(to) = other.seats.first().map(|seat| seat.id) else {
                    return Quality::default();
                };
                let of = |figures: &Figures<_>| figures.get(&(to, by)).copied().unwrap_or_default();
                let (was, is) = (of(&before.0), of(&after.0));
                pairs.push((
                    percent(is.0 - was.0, sent.0 - sent_before.0),
                    percent(is.1 - was.1, sent.1 - sent_before.1),
                ));
            }
        }
        let least = |of: fn(&(u64, u64)) -> u64| pairs.iter().map(of).min().unwrap_or(0);
        let sum: u64 = pairs.iter().map(|pair| pair.1).sum();
        Quality {
            sound_least: least(|pair| pair.0),
            pictures_least: least(|pair| pair.1),
            pictures_mean: sum.checked_div(pairs.len() as u64).unwrap_or(0),
        }
    }

    /// Who is where, for the message of a failed test.
    #[must_use]
    pub fn describe(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (index, person) in self.people.iter().enumerate() {
            for seat in &person.seats {
                let figures = seat.stats.as_ref();
                let _infallible = writeln!(
                    text,
                    "person {index} as {}: connected {} interrupted {}, sent {:?}, wanted {:?}, roster {:?}, heard {:?}, unsent and refused {:?}",
                    seat.id,
                    seat.connected,
                    seat.interrupted,
                    seat.sent,
                    seat.wanted.camera,
                    seat.roster(),
                    seat.heard,
                    figures.map(|stats| (stats.unsent_frames, stats.refused_datagrams)),
                );
            }
        }
        text
    }

    /// Heard and seen, by listener and speaker; sent, by speaker.
    pub(super) fn figures(
        &self,
    ) -> (
        Figures<(ParticipantId, ParticipantId)>,
        Figures<ParticipantId>,
    ) {
        let (mut heard, mut sent) = (BTreeMap::new(), BTreeMap::new());
        for seat in self.people.iter().flat_map(|person| &person.seats) {
            sent.insert(seat.id, seat.sent);
            for (&by, figures) in &seat.heard {
                heard.insert((seat.id, by), (figures.sound, figures.pictures));
            }
        }
        (heard, sent)
    }
}
