//! Which participants stand in the list of people: of each member the newest connection alone.
//!
//! Somebody whose network failed comes back as another participant, and until the server gives up the old connection
//! both are in the call. Our own other connection is nobody's.

use std::collections::BTreeMap;

use hullo_proto::group::id::{Identity, ParticipantId};

/// What is to be told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    Nothing,
    /// A member came.
    Came,
    /// A member whom this participant stood for goes on as another one.
    Moved(ParticipantId),
    /// A member is gone.
    Went,
}

/// The connections of each member, the newest last; at most as many as there are ids in a call.
pub(super) struct Shown {
    own: Option<Identity>,
    of: BTreeMap<Identity, Vec<ParticipantId>>,
}

impl Shown {
    /// Nobody yet; `own` is never told of.
    pub(super) fn new(own: Option<Identity>) -> Self {
        Self {
            own,
            of: BTreeMap::new(),
        }
    }

    /// `id` proved to be `identity`.
    pub(super) fn came(&mut self, id: ParticipantId, identity: Identity) -> Told {
        if self.own == Some(identity) {
            return Told::Nothing;
        }
        let ids = self.of.entry(identity).or_default();
        if ids.contains(&id) {
            return Told::Nothing;
        }
        let before = ids.last().copied();
        ids.push(id);
        before.map_or(Told::Came, Told::Moved)
    }

    /// `id` is gone; with it, whom its member goes on as, if that is another one.
    pub(super) fn went(&mut self, id: ParticipantId) -> (Told, Option<ParticipantId>) {
        let Some((&identity, ids)) = self.of.iter_mut().find(|(_, ids)| ids.contains(&id)) else {
            return (Told::Nothing, None);
        };
        let was_shown = ids.last() == Some(&id);
        ids.retain(|&other| other != id);
        match ids.last() {
            None => {
                self.of.remove(&identity);
                (Told::Went, None)
            }
            Some(&other) if was_shown => (Told::Moved(id), Some(other)),
            Some(_) => (Told::Nothing, None),
        }
    }

    /// Each member in the list, and as which participant.
    pub(super) fn members(&self) -> impl Iterator<Item = (Identity, ParticipantId)> {
        let of = self.of.iter();
        of.filter_map(|(member, ids)| Some((*member, *ids.last()?)))
    }

    /// Whether `id` stands in the list.
    pub(super) fn is_shown(&self, id: ParticipantId) -> bool {
        self.of.values().any(|ids| ids.last() == Some(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ParticipantId {
        number.try_into().expect("in range")
    }

    fn member(text: &str) -> Identity {
        text.try_into().expect("eight characters")
    }

    #[test]
    fn a_member_stands_once_under_its_newest_connection() {
        let (ann, bob) = (member("ANNANN01"), member("BOBBOB01"));
        let mut shown = Shown::new(Some(member("OWNOWN01")));
        assert_eq!(shown.came(id(1), member("OWNOWN01")), Told::Nothing);
        assert_eq!(shown.came(id(2), ann), Told::Came);
        assert_eq!(shown.came(id(3), bob), Told::Came);
        assert_eq!(shown.came(id(2), ann), Told::Nothing, "known");
        assert_eq!(shown.came(id(9), ann), Told::Moved(id(2)));
        assert!(shown.is_shown(id(9)) && !shown.is_shown(id(2)) && !shown.is_shown(id(1)));
        // The server gives up the dead connection: nobody left.
        assert_eq!(shown.went(id(2)), (Told::Nothing, None));
        assert_eq!(shown.went(id(9)), (Told::Went, None));
        assert_eq!(shown.went(id(9)), (Told::Nothing, None));
        assert_eq!(shown.went(id(1)), (Told::Nothing, None));
        assert!(shown.is_shown(id(3)));
    }

    #[test]
    fn a_second_connection_that_was_given_up_leaves_the_first() {
        let ann = member("ANNANN01");
        let mut shown = Shown::new(None);
        shown.came(id(2), ann);
        shown.came(id(9), ann);
        assert_eq!(shown.went(id(9)), (Told::Moved(id(9)), Some(id(2))));
        assert!(shown.is_shown(id(2)));
    }
}
