//! The side channel of a call between two Hullo clients: what each sends and wants, as small JSON messages.
//!
//! Each message is the sender's whole state, so a lost or repeated one does no harm. Unknown members are ignored.

use hullo_media::session::SIDE_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// What one side sends and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideState {
    /// True: no sound leaves.
    #[serde(default)]
    pub muted: bool,
    /// True: pictures leave.
    #[serde(default)]
    pub camera: bool,
    /// True: paused by its owner; neither sent nor played.
    #[serde(default)]
    pub hold: bool,
    /// Largest picture its screen can show, in pixels. `None`: none is drawn, none need be sent.
    #[serde(default = "source_size")]
    pub want: Option<(u32, u32)>,
    /// True: reads sound frames that carry copies of earlier ones.
    #[serde(default)]
    pub copies: bool,
    /// True: the camera is on, and the line towards the other side is too thin to send its pictures.
    #[serde(default)]
    pub thin: bool,
    /// True: this computer does not decode the pictures as fast as they come.
    #[serde(default)]
    pub slow: bool,
}

/// Wanted by recordings and screenless modes: the source's own size.
pub const WANT_SOURCE: (u32, u32) = (u32::MAX, u32::MAX);

fn source_size() -> Option<(u32, u32)> {
    Some(WANT_SOURCE)
}

impl Default for SideState {
    fn default() -> Self {
        Self {
            muted: false,
            camera: false,
            hold: false,
            want: source_size(),
            copies: false,
            thin: false,
            slow: false,
        }
    }
}

impl SideState {
    /// The message for the wire.
    pub fn write(&self) -> Vec<u8> {
        let message = serde_json::to_vec(self).expect("seven plain members serialise");
        debug_assert!(message.len() <= SIDE_BYTES_MAX, "the message is small");
        message
    }

    /// Reads a message; `None` when it is none of ours (the peer is at fault, the call goes on).
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > SIDE_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = SideState::read(&bytes);
        }

        #[test]
        fn what_is_written_is_read(
            muted: bool,
            camera: bool,
            hold: bool,
            want: Option<(u32, u32)>,
            copies: bool,
            thin: bool,
            slow: bool,
        ) {
            let state = SideState { muted, camera, hold, want, copies, thin, slow };
            prop_assert_eq!(SideState::read(&state.write()), Some(state));
        }
    }

    #[test]
    fn unknown_members_are_ignored_and_missing_ones_have_defaults() {
        let state = SideState::read(br#"{"camera":true,"later":[1,2]}"#);
        assert_eq!(
            state,
            Some(SideState {
                camera: true,
                ..SideState::default()
            })
        );
    }
}
