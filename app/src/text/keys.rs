//! Words for the keys: one each in the bottom bar, a line each in the help.

use super::*;

/// One word for the bottom bar; `None` where the action is not worth its room.
#[must_use]
pub fn hint(model: &Model, action: Action) -> Option<&'static str> {
    let call = model.taken_call();
    Some(match action {
        Action::Accept if call.is_some() => "hold and answer",
        Action::Accept => "accept",
        Action::EndAndAccept => "end and answer",
        Action::Ignore => "ignore",
        Action::Hold if call?.is_held() => "resume",
        Action::Hold => "hold",
        Action::Swap => "swap",
        Action::Join => "join",
        Action::Screen if call?.own_screen => "hide screen",
        Action::Screen => return None,
        Action::Talk if call?.seat.talk.is_some() && !model.reports_releases => "end talking",
        Action::Talk if call?.own.mic_muted && !call?.seat.is_deafened() => "talk",
        Action::Deafen if call?.seat.is_deafened() => "hear again",
        Action::Roster if call?.seat.is_roster_open => "close list",
        Action::Roster => "people",
        Action::Focus if call?.seat.is_roster_open => "focus",
        Action::Louder if call?.seat.is_roster_open => "louder",
        Action::Softer if call?.seat.is_roster_open => "softer",
        Action::Silence if call?.seat.is_roster_open => "silence",
        Action::Talk | Action::Deafen | Action::Silence => return None,
        Action::Focus | Action::Louder | Action::Softer => return None,
        Action::AcceptSound => "sound only",
        Action::Decline => "decline",
        Action::Mute if call?.own.mic_muted => "unmute",
        Action::Mute => "mute",
        Action::Video => "camera",
        Action::HangUp => "hang up",
        Action::Copy => "copy",
        Action::Qr => "QR",
        Action::Same => "same words",
        Action::Different => "different",
        // What is asked of nobody who has done it; and the keys of a call first.
        Action::Words if model.live_call().is_some() => return None,
        Action::Words if model.selected_contact()?.verified => return None,
        Action::Words => "words",
        Action::Confirm => confirm(model),
        Action::Write => "text",
        Action::CallVideo => "video",
        // Room for the keys of the call first; they work all the same.
        Action::Invite | Action::Add if model.live_call().is_some() || model.incoming.is_some() => {
            return None;
        }
        Action::Invite => "invite",
        Action::Add => "add",
        Action::Stats if matches!(model.overlay, Some(Overlay::Stats)) => "hide figures",
        Action::Stats => return None,
        Action::Help => "help",
        Action::Close if model.filter().is_some() && model.overlay.is_none() => "show all",
        // Its own key closes it, and says so.
        Action::Close | Action::Back if model.roster().is_some() => return None,
        Action::Palette | Action::Contact if is_busy(model) => return None,
        Action::Palette => "commands",
        Action::Contact => "contact",
        Action::Close => "close",
        Action::Back if model.overlay.is_none() => "quit",
        Action::Down if matches!(model.overlay, Some(Overlay::Help(_))) => "more",
        Action::Up if matches!(model.overlay, Some(Overlay::Log(_))) => "older",
        Action::PageUp if model.writing_to().is_some() => "older",
        Action::PageUp | Action::PageDown => return None,
        Action::DoNotDisturb
        | Action::Filter
        | Action::Settings
        | Action::Log
        | Action::Back
        | Action::CallAudio
        | Action::Up
        | Action::Down
        | Action::Interrupt => {
            return None;
        }
    })
}

/// What Enter does now.
fn confirm(model: &Model) -> &'static str {
    match &model.overlay {
        _ if is_chosen_from(model) => "do it",
        _ if model.is_typing_above() => "keep",
        Some(Overlay::Settings(_)) => "change",
        Some(Overlay::Devices(_)) => "choose",
        Some(Overlay::Add(_)) => "add",
        _ if model.writing_to().is_some() => "send",
        _ if is_running_there(model) => "join",
        _ => "call",
    }
}

/// Whether Enter does the line that is chosen in a list.
fn is_chosen_from(model: &Model) -> bool {
    let has_menu = matches!(model.overlay, Some(Overlay::Contact(_)));
    model.layers.palette.is_some() || (has_menu && !model.is_typing_above())
}

/// Whether the keys of a call need the room.
fn is_busy(model: &Model) -> bool {
    model.live_call().is_some() || model.incoming.is_some() || model.overlay.is_some()
}

/// Whether the chosen one is a group in which a call runs.
fn is_running_there(model: &Model) -> bool {
    let group = model.selected_group();
    group.is_some_and(|group| model.running.contains_key(&GroupNumber(group.number)))
}

/// One line for the help, short enough for the smallest screen with panes.
#[must_use]
pub fn help(action: Action) -> &'static str {
    match action {
        Action::Accept => "take it; your call waits",
        Action::EndAndAccept => "end your call and take it",
        Action::Ignore => "let it ring without a sound",
        Action::Hold => "put on hold, or go on",
        Action::Swap => "go on with the call on hold",
        Action::Join => "join the call of a group",
        Action::Screen => "show your screen, or not",
        Action::Talk => "talk while held, or once more",
        Action::Deafen => "hear nothing, or again",
        Action::Roster => "who is in the call of a group",
        Action::Focus => "large picture: chosen, or who speaks",
        Action::Louder => "the chosen person louder",
        Action::Softer => "the chosen person softer",
        Action::Silence => "do not hear the chosen person",
        Action::DoNotDisturb => "do not disturb: nothing rings",
        Action::AcceptSound => "take it with the camera off",
        Action::Decline => "decline the call",
        Action::Mute => "your microphone off or on",
        Action::Video => "your camera on or off",
        Action::HangUp => "hang up",
        Action::Copy => "copy the link shown",
        Action::Confirm => "call; add or send what was typed",
        Action::Write => "write a message",
        Action::PageUp => "older entries",
        Action::PageDown => "newer entries",
        Action::Qr => "the code as a QR code",
        Action::Words => "compare words: verify",
        Action::Same => "the words are the same",
        Action::Different => "they are not: not verified",
        Action::CallAudio => "call, sound only",
        Action::CallVideo => "call with pictures",
        Action::Invite => "invite: make a link",
        Action::Add => "add a link or a code",
        Action::Up => "up",
        Action::Down => "down",
        Action::Palette => "find a command by its name",
        Action::Filter => "list only such names",
        Action::Contact => "rename, block, remove a contact",
        Action::Settings => "settings",
        Action::Log => "the log of this run",
        Action::Stats => "figures: what is wrong",
        Action::Help => "this help",
        Action::Close => "close what lies on top",
        Action::Back => "back or quit, no hanging up",
        Action::Interrupt => "quit; in a call press twice",
    }
}
