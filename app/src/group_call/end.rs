//! Why the call of a group is over for us, each with the stable word of the reports.

use hullo_proto::group::directory::DirectoryError;
use hullo_proto::group::group_call::EndReason;
use hullo_proto::group::join::JoinError;
use hullo_proto::group::lobby::EnterError;
use thiserror::Error;

/// An end, in words by `Display`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupEnd {
    /// We left.
    #[error("you left")]
    Left,
    /// No place was free.
    #[error("the call is full")]
    Full,
    /// The server ended it, or none runs any more.
    #[error("the call was ended")]
    Ended,
    /// The server of the group cannot be reached, or does not let us in; says what to do.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody else came for three minutes.
    #[error("nobody else was in the call for 3 minutes")]
    Alone,
    /// We are no longer in the group.
    #[error("you are no longer a member of the group")]
    Removed,
    /// The connection was there and went away.
    #[error(
        "the group's server fell silent and did not come back: it was stopped, or your network is gone"
    )]
    Lost,
    /// Something else; says what to do.
    #[error("{0}")]
    Failed(String),
}

impl GroupEnd {
    /// The stable word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Full => "full",
            Self::Ended => "ended",
            Self::Unreachable(_) => "unreachable",
            Self::Alone => "alone",
            Self::Removed => "removed",
            Self::Lost => "lost",
            Self::Failed(_) => "failed",
        }
    }
}

impl From<EndReason> for GroupEnd {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Left => Self::Left,
            EndReason::Alone => Self::Alone,
            EndReason::NotAMember => Self::Removed,
            EndReason::ForcedToLeave | EndReason::RatchetExhausted => {
                Self::Failed(reason.to_string())
            }
        }
    }
}

impl From<EnterError> for GroupEnd {
    fn from(error: EnterError) -> Self {
        let words = error.to_string();
        match error {
            EnterError::NotRunning => Self::Ended,
            EnterError::Join(JoinError::Full) => Self::Full,
            EnterError::NoToken(DirectoryError::Refused)
            | EnterError::Join(JoinError::UnsupportedVersion)
            | EnterError::Busy => Self::Failed(words),
            EnterError::NoToken(_) | EnterError::BadServer | EnterError::Join(_) => {
                Self::Unreachable(words)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_word() {
        for (end, word) in [
            (GroupEnd::from(EnterError::Join(JoinError::Full)), "full"),
            (
                EnterError::Join(JoinError::NoConnection).into(),
                "unreachable",
            ),
            (
                EnterError::NoToken(DirectoryError::Unreachable).into(),
                "unreachable",
            ),
            (EnterError::NotRunning.into(), "ended"),
            (EndReason::Left.into(), "left"),
            (EndReason::Alone.into(), "alone"),
            (EndReason::NotAMember.into(), "removed"),
        ] {
            assert_eq!(end.as_str(), word);
            assert!(!end.to_string().is_empty());
        }
    }
}
