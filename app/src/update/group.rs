//! Groups: what is shown, and what the outside is told when they change.

use super::{call, notice, say};
use crate::effect::Effect;
use crate::event::{GroupNumber, Media, Party, RunningCall};
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
    // A list that was only signed anew is no news.
    let is_news = |group: &&GroupLine| {
        let revision = group.revision;
        let same = |old: &GroupLine| {
            GroupLine {
                revision,
                ..old.clone()
            } == **group
        };
        !known.iter().any(same)
    };
    for group in groups.iter().filter(is_news) {
        effects.push(Effect::Report(groups::report(
            group,
            &model.settings.words_differ,
        )));
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
        let number = GroupNumber(group.number);
        model.running.remove(&number);
        model.selected_group.take_if(|chosen| *chosen == number);
        let name = group.name.clone();
        let calls = model.call.iter_mut().chain(&mut model.others);
        for call in calls.filter(|call| call.party == Party::Group(number)) {
            // The page at the end of its call says which group that was.
            call.gone_group = Some(name.clone());
        }
        effects.push(Effect::Report(Report::GroupLeft { name }));
    }
    for words in joined {
        notice(model, words, effects);
    }
}

/// A member has begun a call.
pub(super) fn call_begun(
    model: &mut Model,
    group: GroupNumber,
    by: String,
    effects: &mut Vec<Effect>,
) {
    let party = Party::Group(group);
    // Whoever is in it, or on the way, needs no word.
    if model.live_calls().any(|call| call.party == party) {
        return;
    }
    model.call_news = Some(group);
    let name = model.name_of_party(party).to_owned();
    say(model, text::group_call_begun(&name, &by));
    effects.push(Effect::Report(Report::Incoming {
        name,
        video: false,
        verified: false,
        busy: model.taken_call().is_some(),
        by: Some(by),
    }));
}

/// What runs in a group, or that nothing does.
pub(super) fn runs(
    model: &mut Model,
    group: GroupNumber,
    running: Option<RunningCall>,
    effects: &mut Vec<Effect>,
) {
    let before = match &running {
        Some(running) => model.running.insert(group, running.clone()),
        None => model.running.remove(&group),
    };
    if running.is_none() {
        model.call_news.take_if(|news| *news == group);
    }
    if before != running {
        let (people, started_at_ms) = running
            .map(|running| (running.people, running.started_at_ms))
            .unzip();
        effects.push(Effect::Report(Report::GroupCall {
            name: model.name_of_party(Party::Group(group)).to_owned(),
            running: people.is_some(),
            people: people.unwrap_or_default(),
            started_at_ms,
        }));
    }
}

/// Joins the call that was said to run last, else the only one that runs.
pub(super) fn join_running(model: &mut Model, effects: &mut Vec<Effect>) -> Result<(), String> {
    let chosen = model
        .selected_group
        .filter(|group| model.running.contains_key(group));
    let only = || match model.running.len() {
        1 => model.running.keys().next().copied(),
        _ => None,
    };
    let group = chosen.or(model.call_news).or_else(only);
    let group = group.ok_or_else(|| match model.selected_group {
        Some(group) => text::no_call_runs(model.name_of_party(Party::Group(group))),
        None => text::NO_SUCH_CALL.to_owned(),
    })?;
    call::start(model, Party::Group(group), Media::Audio, effects)
}

/// Tells which groups are on the screen, when that changed: what runs in them is looked at more often.
pub(super) fn watch(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.size.is_none() {
        return;
    }
    let joined = model.groups().iter().filter(|group| group.is_joined);
    let watched: Vec<_> = joined.map(|group| GroupNumber(group.number)).collect();
    if watched != model.watched {
        model.watched.clone_from(&watched);
        effects.push(Effect::WatchGroups(watched));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mode;
    use crate::report::GroupMember;
    use crate::view::look::{ColourChoice, Look};

    fn group(people: &[&str]) -> GroupLine {
        let members = people.iter().map(|name| GroupMember {
            name: (*name).to_owned(),
            id: "ABCDEFGH".to_owned(),
            vouched: "group",
            creator: *name == "ann",
            invited: false,
        });
        GroupLine {
            number: 1,
            name: "hikers".to_owned(),
            revision: 1,
            is_ours: false,
            is_joined: true,
            members: members.collect(),
            trouble: None,
        }
    }

    /// Sentences for the changes, as `--plain` shows them.
    fn told(model: &mut Model, groups: Vec<GroupLine>) -> Vec<String> {
        let mut effects = Vec::new();
        take(model, groups, &mut effects);
        let sentences = effects.iter().filter_map(|effect| match effect {
            Effect::Report(report) => crate::plain::sentence(report),
            _ => None,
        });
        sentences.collect()
    }

    #[test]
    fn the_first_list_is_no_news_and_each_change_is_told_in_words() {
        let mut model = Model::new(Mode::Screen, Look::detect(ColourChoice::Auto, |_| None));
        assert!(told(&mut model, Vec::new()).is_empty());
        let joined = told(&mut model, vec![group(&["ann", "bob"])]);
        assert!(joined[0].contains("ann (vouched for by the group only, made the group)"));
        assert!(joined[1].starts_with("ann made you a member of hikers, 2 people."));
        let mut signed_anew = group(&["ann", "bob"]);
        signed_anew.revision = 2;
        assert!(told(&mut model, vec![signed_anew]).is_empty());
        assert_eq!(told(&mut model, vec![group(&["ann"])]).len(), 1);
        let gone = told(&mut model, Vec::new());
        assert_eq!(gone, ["You are no longer in hikers."]);
    }
}
