//! Groups as the program sees them.

use hullo_proto::group::id::{GroupId, Identity};

use crate::group::record::GroupKey;
use crate::group::{Group, GroupState, Member, Vouched};
use crate::identity::KeySet;
use crate::name;
use crate::store::{GroupRow, MemberRow, MemberStanding, Rows, Standing, StoreError};

/// The group's name on the wire of calls.
pub(super) fn id(key: &GroupKey) -> GroupId {
    let creator = Identity::try_from(key.creator.short_id().as_str())
        .expect("eight letters of base32 are an identity");
    GroupId {
        creator,
        id: key.id,
    }
}

/// Whether we are in it, or about to be.
pub(super) fn is_shown(group: &GroupRow) -> bool {
    matches!(group.standing, Standing::Joining | Standing::In)
}

/// With its members, ourselves first.
pub(super) fn group(rows: &Rows<'_>, own: &KeySet, row: &GroupRow) -> Result<Group, StoreError> {
    let mut listed = rows.members(row)?;
    listed.retain(|member| member.standing != MemberStanding::Gone);
    listed.sort_by_key(|member| member.key_set != *own);
    let mut members: Vec<Member> = Vec::new();
    for member in listed {
        let mut member = shown(rows, own, row, &member)?;
        member.name = name::unique(&member.name, |candidate| {
            Ok::<_, StoreError>(members.iter().any(|other| other.name == candidate))
        })?;
        members.push(member);
    }
    Ok(Group {
        number: row.number,
        id: id(&row.key),
        name: row.name.clone(),
        server: row.server.clone(),
        revision: row.revision,
        is_ours: row.key.creator == *own,
        state: match row.standing {
            Standing::In => GroupState::In,
            _ => GroupState::Joining,
        },
        members,
        trouble: row.trouble.clone(),
    })
}

fn shown(
    rows: &Rows<'_>,
    own: &KeySet,
    group: &GroupRow,
    member: &MemberRow,
) -> Result<Member, StoreError> {
    let contact = rows.key_sets()?.into_iter();
    let contact = contact.clone().find(|(_, known)| *known == member.key_set);
    let contact = match contact {
        Some((id, _)) => rows.contact(id)?,
        None => None,
    };
    let stated = member.statement.as_ref().map(|known| known.name.clone());
    let (name, vouched) = match contact {
        _ if member.key_set == *own => (stated.unwrap_or_else(|| "you".to_owned()), Vouched::Own),
        Some(contact) if contact.verified => (contact.name, Vouched::Verified),
        Some(contact) => (contact.name, Vouched::Contact),
        None => (
            stated.unwrap_or_else(|| member.key_set.short_id()),
            Vouched::Group,
        ),
    };
    Ok(Member {
        number: member.number,
        name,
        short_id: member.key_set.short_id(),
        key_set: member.key_set,
        vouched,
        is_creator: member.key_set == group.key.creator,
        is_invited: member.standing == MemberStanding::Invited,
    })
}
