//! How things stand, as one object: the answer to `status`.

use serde::Serialize;

use crate::event::{GroupNumber, Party};
use crate::model::{Call, Model, Server};
use crate::seat::Focus;
use crate::text;

/// Everything a script asks for at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// The same in a sentence.
    pub text: String,
    /// The call that has the devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallStatus>,
    /// With whom calls wait on hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Who rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<String>,
    /// Whether calls ring here.
    pub do_not_disturb: bool,
    /// Whether the server answers; absent before it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_up: Option<bool>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_reason: Option<String>,
    /// What others see of us; absent before the profile was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many contacts there are.
    pub contacts: usize,
    /// The groups we are in, and what runs there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStatus>,
    /// Texts and missed calls that nobody has seen.
    pub unseen: u64,
    /// Calls go over a TURN server or not at all.
    pub relay_only: bool,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// How many are in it, we too.
    pub members: usize,
    /// A call runs there.
    pub running: bool,
    /// Who is in that call, as far as somebody has said so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
}

/// What the other in a call of two says it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FarStatus {
    /// Sends no sound.
    pub muted: bool,
    /// Sends pictures.
    pub camera: bool,
    /// Has put the call on hold.
    pub hold: bool,
    /// For how long its picture has stood still, milliseconds; 0 while it moves.
    pub still_ms: u64,
}

/// A call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallStatus {
    /// With whom: a contact or a group.
    pub name: String,
    /// True: a group.
    pub group: bool,
    /// `inviting ringing connecting connected reconnecting`.
    pub state: &'static str,
    /// Since sound flows.
    pub connected_ms: u64,
    /// No sound leaves.
    pub muted: bool,
    /// Nothing is heard.
    pub deafened: bool,
    /// Push-to-talk keeps the microphone open.
    pub talking: bool,
    /// Pictures leave.
    pub camera: bool,
    /// Our screen is shown.
    pub screen: bool,
    /// It waits on hold.
    pub hold: bool,
    /// Loudness of the contact, per cent; absent in the call of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_percent: Option<u16>,
    /// The contact is heard right now; absent in the call of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaking: Option<bool>,
    /// True: the contact is not heard here by our wish; absent in the call of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced: Option<bool>,
    /// `verified`, `unverified` or `words_differ`; absent in the call of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<&'static str>,
    /// What the other says it sends; absent in the call of a group, and before it said anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub far: Option<FarStatus>,
    /// What is being done about the connection, while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What is wrong with the call, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// In the call of a group: whom the large picture shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focus: Option<String>,
    /// The others in the call of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonStatus>,
}

/// Somebody in the call of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PersonStatus {
    /// The number in this call.
    pub participant: u32,
    /// As the group knows this member.
    pub name: String,
    /// Heard right now.
    pub speaking: bool,
    /// Sends no sound.
    pub muted: bool,
    /// Away.
    pub hold: bool,
    /// Sends pictures.
    pub camera: bool,
    /// Shows a screen.
    pub screen: bool,
    /// Administers the call.
    pub admin: bool,
    /// We compared words with this person.
    pub verified: bool,
    /// How loud here, per cent.
    pub volume_percent: u16,
    /// Not heard here by our wish.
    pub silenced: bool,
}

impl Status {
    /// As it is now.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let name = |party| model.name_of_party(party).to_owned();
        Self {
            text: text::sentence(&text::status(model)),
            call: model.taken_call().map(|call| CallStatus::of(model, call)),
            held: model.held_calls().map(|call| name(call.party)).collect(),
            incoming: model.incoming.as_ref().map(|one| name(one.party)),
            do_not_disturb: model.settings.do_not_disturb,
            server_up: match &model.server {
                Server::Unknown => None,
                Server::Up | Server::Stuck(_) => Some(true),
                Server::Down(_) => Some(false),
            },
            server_reason: match &model.server {
                Server::Down(reason) | Server::Stuck(reason) => Some(reason.clone()),
                Server::Unknown | Server::Up => None,
            },
            name: (model.profile.as_ref()).map(|profile| profile.name.clone()),
            contacts: model.contacts().len(),
            groups: groups(model),
            unseen: unseen(model),
            relay_only: model.is_relay_only,
        }
    }
}

fn groups(model: &Model) -> Vec<GroupStatus> {
    let groups = model.groups().iter().map(|group| {
        let running = model.running.get(&GroupNumber(group.number));
        GroupStatus {
            name: group.name.clone(),
            members: group.people(),
            running: running.is_some(),
            people: running.map_or_else(Vec::new, |running| running.people.clone()),
        }
    });
    groups.collect()
}

fn unseen(model: &Model) -> u64 {
    let unseen = model.unseen.iter().flat_map(|unseen| unseen.values());
    unseen
        .map(|unseen| u64::from(unseen.texts) + u64::from(unseen.calls))
        .sum()
}

impl CallStatus {
    fn of(model: &Model, call: &Call) -> Self {
        let name = model.name_of_party(call.party).to_owned();
        let focused = call.people.iter();
        let mut focused = focused.filter(|person| Some(person.id) == call.seat.focus.on());
        let is_group = call.is_of_a_group();
        Self {
            group: is_group,
            state: call.state.word(),
            connected_ms: call.connected_ms(model.now_ms()),
            muted: call.own.mic_muted,
            deafened: call.seat.is_deafened(),
            talking: call.seat.talk.is_some(),
            camera: call.own.camera_on,
            screen: call.own_screen,
            hold: call.own.on_hold,
            silenced: (!is_group).then(|| call.seat.volume(&name).is_silenced),
            trust: (!is_group).then(|| match text::trust(model, call.party) {
                text::WORDS_DIFFER => "words_differ",
                word => word,
            }),
            far: (call.far.filter(|_| !is_group)).map(|far| FarStatus {
                muted: far.mic_muted,
                camera: far.camera_on,
                hold: far.on_hold,
                still_ms: call.far_picture_still_ms(model.now_ms()).unwrap_or(0),
            }),
            step: call.step.clone(),
            words: match &call.stats {
                Some(stats) => stats
                    .words
                    .iter()
                    .map(|words| text::sentence(words))
                    .collect(),
                None => Vec::new(),
            },
            volume_percent: (!is_group).then(|| call.seat.volume(&name).percent),
            speaking: (!is_group).then_some(call.far_speaks),
            focus: match call.seat.focus {
                Focus::Everybody => None,
                _ => focused.next().map(|person| person.name.clone()),
            },
            people: people(model, call),
            name,
        }
    }
}

fn people(model: &Model, call: &Call) -> Vec<PersonStatus> {
    let people = call.people.iter().map(|person| {
        let volume = call.seat.volume(&person.name);
        PersonStatus {
            participant: person.id.number(),
            name: person.name.clone(),
            speaking: person.speaks(),
            muted: person.switches.mic_muted,
            hold: person.switches.on_hold,
            camera: person.switches.camera_on,
            screen: person.shows_screen,
            admin: person.is_admin,
            verified: vouched(model, call.party, &person.name) == Some("verified"),
            volume_percent: volume.percent,
            silenced: volume.is_silenced,
        }
    });
    people.collect()
}

/// Who says that the keys of this member are theirs, in the word of the group's list.
#[must_use]
pub fn vouched(model: &Model, party: Party, name: &str) -> Option<&'static str> {
    let Party::Group(group) = party else {
        return None;
    };
    let members = &model.group(group)?.members;
    let member = members.iter().find(|member| member.name == name)?;
    Some(member.vouched)
}
