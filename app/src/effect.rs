//! All the program may do to the world: plain data out of `update`, executed by the loop in `run`.

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
    /// Make an invitation link.
    Invite,
    /// Redeem a link.
    Add(String),
    /// Remember our own name.
    SetName(String),
    /// Tell the outside (stdout in `--json` and `--plain`, the control socket).
    Report(Report),
    /// Copy text by OSC 52.
    Copy(String),
    /// Leave with this status (DESIGN §8).
    Quit(u8),
}
