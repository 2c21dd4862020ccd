//! Groups as the screen and the command line know them: what is shown, and what is asked by name.

use std::collections::BTreeSet;

use hullo_signalling::channel::{self, ContactId};
use hullo_signalling::group::{Group, GroupCommand, GroupError, GroupNumber, GroupState, Vouched};
use hullo_signalling::server_url::ServerUrl;
use serde::{Deserialize, Serialize};

use crate::report::{GroupMember, Report};

/// One thing to ask or change about groups, by names: from the command line, and on its way to the running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupErrand {
    /// Make one.
    New {
        /// What it is called.
        name: String,
    },
    /// Invite a contact.
    Add {
        /// The group's name.
        group: String,
        /// The contact's name.
        contact: String,
    },
    /// Take somebody out.
    Remove {
        /// The group's name.
        group: String,
        /// The member's name, or its 8 characters.
        member: String,
    },
    /// Leave one.
    Leave {
        /// The group's name.
        group: String,
    },
    /// Show all.
    List,
}

/// A group as the model shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLine {
    /// Its number in this profile.
    pub number: u64,
    /// Unique among this profile's groups.
    pub name: String,
    /// Of the newest list of members.
    pub revision: u64,
    /// Whether we made it.
    pub is_ours: bool,
    /// False while it is being set up, or the creator has not listed us yet.
    pub is_joined: bool,
    /// Everybody, we and the invited too.
    pub members: Vec<GroupMember>,
    /// What was refused last, in words.
    pub trouble: Option<String>,
}

impl GroupLine {
    /// Who made it.
    pub fn creator(&self) -> &str {
        let creator = self.members.iter().find(|member| member.creator);
        creator.map_or("somebody", |member| &member.name)
    }

    /// How many are in.
    pub fn people(&self) -> usize {
        self.members.iter().filter(|member| !member.invited).count()
    }
}

/// A group as the model shows it.
pub fn line(group: &Group) -> GroupLine {
    let members = group.members.iter().map(|member| GroupMember {
        name: member.name.clone(),
        id: member.short_id.clone(),
        vouched: match member.vouched {
            Vouched::Own => "you",
            Vouched::Verified => "verified",
            Vouched::Contact => "contact",
            Vouched::Group => "group",
        },
        creator: member.is_creator,
        invited: member.is_invited,
    });
    GroupLine {
        number: group.number.0,
        name: group.name.clone(),
        revision: group.revision,
        is_ours: group.is_ours,
        is_joined: group.state == GroupState::In,
        members: members.collect(),
        trouble: group.trouble.clone(),
    }
}

/// The same for the outside. `words_differ`: of whom the words were different when they were compared, by the short id.
pub fn report(group: &GroupLine, words_differ: &BTreeSet<String>) -> Report {
    let mut members = group.members.clone();
    for member in &mut members {
        if member.vouched == "contact" && words_differ.contains(&member.id) {
            member.vouched = "words_differ";
        }
    }
    Report::Group {
        name: group.name.clone(),
        revision: group.revision,
        ours: group.is_ours,
        joined: group.is_joined,
        members,
        trouble: group.trouble.clone(),
    }
}

/// What the names mean; `None` for [`GroupErrand::List`].
///
/// # Errors
/// Names nobody has, as the channel would say it.
pub fn command(
    errand: &GroupErrand,
    server: Option<&ServerUrl>,
    groups: &[Group],
    contacts: &[channel::Contact],
) -> Result<Option<GroupCommand>, channel::ChannelError> {
    let find = |name: &str| {
        let found = groups.iter().find(|group| group.name == name);
        found.ok_or(GroupError::NoGroup)
    };
    Ok(Some(match errand {
        GroupErrand::List => return Ok(None),
        // The channel would call it `name-2`, as it does with groups of others: here somebody chose the name.
        GroupErrand::New { name } if find(name.trim()).is_ok() => {
            return Err(GroupError::NameTaken(name.trim().to_owned()).into());
        }
        GroupErrand::New { name } => GroupCommand::New {
            name: name.clone(),
            server: server.cloned(),
        },
        GroupErrand::Add { group, contact } => GroupCommand::Add {
            group: find(group)?.number,
            contact: contact_of(contacts, contact).ok_or(channel::ChannelError::NoContact)?,
        },
        GroupErrand::Remove { group, member } => {
            let group = find(group)?;
            let mut members = group.members.iter();
            let member = members
                .find(|known| known.name == *member || known.short_id == *member)
                .ok_or(GroupError::NoMember)?;
            GroupCommand::Remove {
                group: group.number,
                member: member.number,
            }
        }
        GroupErrand::Leave { group } => GroupCommand::Leave {
            group: find(group)?.number,
        },
    }))
}

fn contact_of(contacts: &[channel::Contact], name: &str) -> Option<ContactId> {
    let found = contacts.iter().find(|contact| contact.name == name);
    found.map(|contact| contact.id)
}

/// The group a command is about; `None` for one that makes a group.
pub fn number(command: &GroupCommand) -> Option<GroupNumber> {
    match command {
        GroupCommand::New { .. } => None,
        GroupCommand::Add { group, .. }
        | GroupCommand::Remove { group, .. }
        | GroupCommand::Leave { group }
        | GroupCommand::StartCall { group, .. }
        | GroupCommand::EndCall { group, .. } => Some(*group),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_errand_survives_the_control_socket_and_names_nobody_has_are_told_apart() {
        let errands = [
            GroupErrand::List,
            GroupErrand::New {
                name: "hikers".to_owned(),
            },
            GroupErrand::Add {
                group: "hikers".to_owned(),
                contact: "bob".to_owned(),
            },
        ];
        for errand in &errands {
            let sent = json!({ "group": errand });
            let heard = serde_json::from_value(sent["group"].clone());
            assert_eq!(heard.ok().as_ref(), Some(errand));
        }
        let asked = |errand: &GroupErrand| command(errand, None, &[], &[]);
        assert!(matches!(asked(&errands[0]), Ok(None)));
        assert!(matches!(
            asked(&errands[1]),
            Ok(Some(GroupCommand::New { server: None, .. }))
        ));
        assert!(matches!(
            asked(&errands[2]),
            Err(channel::ChannelError::Group(GroupError::NoGroup))
        ));
    }
}
