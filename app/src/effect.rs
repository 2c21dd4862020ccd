//! All the program may do to the world: plain data out of `update`, executed by the loop in `run`.

use hullo_media::process::Processing;
use hullo_signalling::history::EntryId;

use crate::attention::AttentionSettings;
use crate::devices::DeviceKind;
use crate::event::{
    CallNumber, ContactId, Feed, GroupNumber, Media, ParticipantId, Party, PersonChange, Settings,
};
use crate::report::Report;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call this contact, or create or join this group's call.
    StartCall(Party, Media),
    /// Take this ringing call.
    AcceptCall(CallNumber, Media),
    /// Decline this ringing call.
    RejectCall {
        /// Which.
        call: CallNumber,
        /// True: because we are in another call, and the caller may know.
        busy: bool,
    },
    /// End this call.
    HangUp(CallNumber),
    /// True: send no sound.
    SetMicMuted(CallNumber, bool),
    /// True: send pictures.
    SetCamera(CallNumber, bool),
    /// True: neither send nor play until resumed, and leave the devices to other calls.
    SetHold(CallNumber, bool),
    /// The far picture is drawn at this size now (pixels the cells can show); `None`: not drawn.
    WantPicture(CallNumber, Option<(u32, u32)>),
    /// These pictures of a participant are drawn at this size now; `None`: not drawn.
    View(CallNumber, ParticipantId, Feed, Option<(u32, u32)>),
    /// How loud this participant is heard here, or (`None`) all of the call; 1 is as sent, 0 is nothing.
    SetVolume(CallNumber, Option<ParticipantId>, f32),
    /// True: show our screen to the others.
    SetScreen(CallNumber, bool),
    /// These groups are on the screen: what runs in them is to be looked at often. All others are not.
    WatchGroups(Vec<GroupNumber>),
    /// Remember this beyond the end of the program.
    SaveSettings(Settings),
    /// Send a text message.
    SendText(ContactId, String),
    /// Read a page of a conversation, before this entry or the newest.
    ReadHistory {
        /// Whose.
        contact: ContactId,
        /// Where it ends.
        before: Option<EntryId>,
    },
    /// Nothing of this conversation is new any more.
    MarkSeen(ContactId),
    /// Make an invitation link and a spoken code.
    Invite,
    /// Let no link of ours work any more that was not used.
    Withdraw,
    /// Redeem a link.
    Add(String),
    /// Change something about a contact.
    Person(ContactId, PersonChange),
    /// Remember our own name.
    SetName(String),
    /// Tell the outside (stdout in `--json` and `--plain`, the control socket).
    Report(Report),
    /// Forget a contact.
    RemoveContact(ContactId),
    /// Calls draw attention like this from now on.
    Attend(AttentionSettings),
    /// True: let the terminal tell of clicks.
    WatchMouse(bool),
    /// This is done to the sound of the microphone from now on.
    Process(Processing),
    /// Tell what the log holds.
    ReadLog,
    /// Copy text by OSC 52.
    Copy(String),
    /// Tell which devices of this kind there are.
    ListDevices(DeviceKind),
    /// This device is used from now on; `None`: the usual one.
    UseDevice(DeviceKind, Option<String>),
    /// All is said that was to be said before Ctrl-Z stops the program.
    MayStop,
    /// Leave with this status (DESIGN §8).
    Quit(u8),
}
