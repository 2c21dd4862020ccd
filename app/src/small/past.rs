//! What was: texts and calls of conversations, and the calls of groups.

use hullo_signalling::channel::{ChannelCommand, ChannelError};

use crate::net::Net;
use crate::profile::group_calls::GroupCalls;
use crate::program::Failure;
use crate::report::EntryReport;

/// Entries of conversations, and nothing of them is new any more if a person reads them.
///
/// # Errors
/// No such contact, or the store's.
pub fn entries(
    net: &Net,
    groups: Option<&GroupCalls>,
    name: Option<&str>,
    limit: usize,
    marks_seen: bool,
) -> Result<Vec<EntryReport>, Failure> {
    let contacts = net.contacts()?;
    let known = |name: &str| contacts.iter().find(|contact| contact.name == name);
    let in_groups = groups.map_or_else(Vec::new, |calls| calls.reports(name));
    let contact = match name {
        Some(name) if known(name).is_none() && !in_groups.is_empty() => {
            return Ok(newest(in_groups, limit));
        }
        Some(name) => Some(known(name).ok_or(ChannelError::NoContact)?.id),
        None => None,
    };
    let entries = net.history(contact, limit)?;
    // A contact may be called as a group is.
    let mut reports = if name.is_none() {
        in_groups
    } else {
        Vec::new()
    };
    for entry in entries {
        let with = contacts.iter().find(|contact| contact.id == entry.contact);
        let name = with.map_or(crate::text::UNKNOWN_CONTACT, |contact| &contact.name);
        reports.push(EntryReport::of(&entry, name));
    }
    if marks_seen {
        for contact in contacts
            .iter()
            .filter(|known| contact.is_none_or(|id| id == known.id))
        {
            net.command(ChannelCommand::MarkSeen(contact.id))?;
        }
    }
    // One conversation is in its own order; clocks may jump.
    Ok(if name.is_none() {
        newest(reports, limit)
    } else {
        reports
    })
}

/// The newest of them, the oldest first.
fn newest(mut reports: Vec<EntryReport>, limit: usize) -> Vec<EntryReport> {
    reports.sort_by_key(|entry| entry.time_ms);
    let excess = reports.len().saturating_sub(limit);
    reports.split_off(excess)
}
