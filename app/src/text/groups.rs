//! What is said of groups.

use super::*;

/// A group in one sentence, each member with who vouches for it; empty for any other report.
pub(crate) fn group_words(report: &Report) -> String {
    let Report::Group {
        name,
        joined,
        members,
        trouble,
        ..
    } = report
    else {
        return String::new();
    };
    let listed: Vec<String> = members
        .iter()
        .map(|member| {
            let who = match member.vouched {
                "you" => "you",
                "verified" => "verified",
                "contact" => "contact, unverified",
                _ => "vouched for by the group only",
            };
            let creator = if member.creator {
                ", made the group"
            } else {
                ""
            };
            let invited = if member.invited { ", invited" } else { "" };
            format!("{} ({who}{creator}{invited})", member.name)
        })
        .collect();
    let state = if *joined { "" } else { " is being set up" };
    let trouble = trouble
        .as_ref()
        .map(|words| format!(" {}", sentence(words)));
    format!(
        "Group {name}{state}: {}.{}",
        if listed.is_empty() {
            "nobody yet".to_owned()
        } else {
            listed.join("; ")
        },
        trouble.unwrap_or_default()
    )
}

/// The state of a group in the list: how many are in.
pub(crate) fn group_state(group: &GroupLine) -> String {
    match (group.is_joined, group.people()) {
        (false, _) => "being set up".to_owned(),
        (true, 1) => "only you".to_owned(),
        (true, people) => format!("{people} people"),
    }
}

/// We are in a group now.
pub(crate) fn group_joined(group: &GroupLine) -> String {
    let (name, creator, people) = (&group.name, group.creator(), group.people());
    format!(
        "{creator} made you a member of {name}, {people} people. `hullo group leave` leaves it."
    )
}

/// The headline of the groups.
pub(crate) const GROUPS_TITLE: &str = "Groups";
