//! What an action is called in `config.toml` and in the palette, and with which others it may share a key. The names
//! are stable: people's files hold them.

use super::Action;

/// When an action's keys count. Actions of different contexts may share a key where one context goes before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Somebody rings. Goes before [`Context::Lists`].
    Ringing,
    /// An invitation lies on top. Goes before [`Context::Lists`].
    Invitation,
    /// Words are being compared. Goes before [`Context::Lists`].
    Comparing,
    /// Another call waits on hold. Goes before [`Context::Lists`].
    Waiting,
    /// About a person chosen in the call of a group. Goes before [`Context::Lists`].
    Roster,
    /// In a call.
    Call,
    /// Contacts, groups, conversations, and what is opened from there: gives way to the contexts above.
    Lists,
    /// At any time, so it shares its keys with nothing.
    Everywhere,
}

impl Context {
    /// Whether one key cannot mean something in both.
    #[must_use]
    pub fn collides_with(self, other: Self) -> bool {
        let goes_before = |a: Self, b: Self| {
            let is_passing = matches!(
                a,
                Self::Ringing | Self::Invitation | Self::Comparing | Self::Waiting | Self::Roster
            );
            is_passing && b == Self::Lists
        };
        // An invitation and words never lie on top together.
        let are_apart = matches!(
            (self, other),
            (Self::Invitation, Self::Comparing) | (Self::Comparing, Self::Invitation)
        );
        !(goes_before(self, other) || goes_before(other, self) || are_apart)
    }
}

impl Action {
    /// The name in `config.toml` and in the palette.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// When its keys count.
    #[must_use]
    pub fn context(self) -> Context {
        self.described().1
    }

    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut bindings = super::BINDINGS.iter();
        bindings
            .find(|binding| binding.action.name() == name)
            .map(|binding| binding.action)
    }

    /// Whether it is also done while text is typed, where letters are text.
    #[must_use]
    pub fn is_done_while_typing(self) -> bool {
        matches!(
            self,
            Self::Confirm | Self::Close | Self::Interrupt | Self::PageUp | Self::PageDown
        )
    }

    fn described(self) -> (&'static str, Context) {
        match self {
            Self::Accept => ("accept", Context::Ringing),
            Self::EndAndAccept => ("end_and_accept", Context::Ringing),
            Self::AcceptSound => ("accept_sound", Context::Ringing),
            Self::Decline => ("decline", Context::Ringing),
            Self::Ignore => ("ignore", Context::Ringing),
            Self::Mute => ("mute", Context::Call),
            Self::Video => ("video", Context::Call),
            Self::HangUp => ("hang_up", Context::Call),
            Self::Hold => ("hold", Context::Call),
            Self::Swap => ("swap", Context::Waiting),
            Self::Join => ("join", Context::Call),
            Self::Screen => ("screen", Context::Call),
            Self::Talk => ("talk", Context::Call),
            Self::Deafen => ("deafen", Context::Call),
            Self::Roster => ("people", Context::Call),
            Self::Focus => ("focus", Context::Call),
            Self::Louder => ("louder", Context::Roster),
            Self::Softer => ("softer", Context::Roster),
            Self::Silence => ("silence", Context::Roster),
            Self::Copy => ("copy", Context::Invitation),
            Self::Qr => ("qr", Context::Invitation),
            Self::Same => ("same_words", Context::Comparing),
            Self::Different => ("different_words", Context::Comparing),
            Self::Confirm => ("confirm", Context::Everywhere),
            Self::Stats => ("stats", Context::Lists),
            Self::CallAudio => ("call", Context::Lists),
            Self::CallVideo => ("call_video", Context::Lists),
            Self::Invite => ("invite", Context::Lists),
            Self::Add => ("add", Context::Lists),
            Self::Write => ("write", Context::Lists),
            Self::PageUp => ("page_up", Context::Everywhere),
            Self::PageDown => ("page_down", Context::Everywhere),
            Self::Words => ("words", Context::Lists),
            Self::Up => ("up", Context::Everywhere),
            Self::Down => ("down", Context::Everywhere),
            Self::DoNotDisturb => ("do_not_disturb", Context::Lists),
            Self::Palette => ("palette", Context::Everywhere),
            Self::Filter => ("filter", Context::Lists),
            Self::Contact => ("contact", Context::Lists),
            Self::Settings => ("settings", Context::Everywhere),
            Self::Log => ("log", Context::Everywhere),
            Self::Help => ("help", Context::Everywhere),
            Self::Close => ("close", Context::Everywhere),
            Self::Back => ("back", Context::Everywhere),
            Self::Interrupt => ("interrupt", Context::Everywhere),
        }
    }
}
