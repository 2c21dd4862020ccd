//! `[screen]`: how the screen behaves.

use serde::Deserialize;

/// The table as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScreenSettings {
    /// Clicks choose and the wheel scrolls. Off unless asked for: a terminal that reports its mouse no longer selects text
    /// with it, and a link of an invitation is there to be selected.
    pub mouse: bool,
}
