//! Groups: what is shown, and what the outside is told when they change.

use super::notice;
use crate::effect::Effect;
use crate::groups::{self, GroupLine};
use crate::model::Model;
use crate::report::Report;
use crate::text;

/// The groups are now these.
pub(super) fn take(model: &mut Model, groups: Vec<GroupLine>, effects: &mut Vec<Effect>) {
    // The first list is no news.
    let Some(known) = model.groups.replace(groups.clone()) else {
        return;
    };
    let mut joined = Vec::new();
    for group in groups.iter().filter(|group| !known.contains(group)) {
        effects.push(Effect::Report(groups::report(group)));
        let was_in = known
            .iter()
            .any(|old| old.number == group.number && old.is_joined);
        if group.is_joined && !group.is_ours && !was_in {
            joined.push(text::group_joined(group));
        }
    }
    let gone = known
        .iter()
        .filter(|old| !groups.iter().any(|group| group.number == old.number));
    for group in gone {
        let name = group.name.clone();
        effects.push(Effect::Report(Report::GroupLeft { name }));
    }
    for words in joined {
        notice(model, words, effects);
    }
}
