//! All the program may do to the world: plain data out of `update`, executed by the loop in `run`.

use hullo_signalling::history::EntryId;

use crate::event::{ContactId, Media};
use crate::report::Report;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call this contact.
    StartCall(ContactId, Media),
    /// Take the ringing call.
    AcceptCall(Media),
    /// Decline the ringing call.
    RejectCall,
    /// End the current call.
    HangUp,
    /// True: send no sound.
    SetMicMuted(bool),
    /// True: send pictures.
    SetCamera(bool),
    /// True: neither send nor play until resumed.
    SetHold(bool),
    /// The far picture is drawn at this size now (pixels the cells can show); `None`: not drawn.
    WantPicture(Option<(u32, u32)>),
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
    /// Make an invitation link.
    Invite,
    /// Redeem a link.
    Add(String),
    /// Remember our own name.
    SetName(String),
    /// Tell the outside (stdout in `--json` and `--plain`, the control socket).
    Report(Report),
    /// Ring the terminal's bell.
    Bell,
    /// Copy text by OSC 52.
    Copy(String),
    /// Leave with this status (DESIGN §8).
    Quit(u8),
}
