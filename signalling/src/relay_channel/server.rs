//! What the channel knows of one connection to a relay: whether it stands, what is asked, when to try again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hullo_proto::service::relay::{Challenge, RecipientId};
use rand::{Rng, RngExt};
use zeroize::Zeroizing;

use super::letters::Letter;
use crate::block::SealKey;
use crate::channel::{ContactId, Wish};
use crate::link::Link;
use crate::server_url::ServerUrl;

/// Making a connection and hearing the greeting: the shell has limits of its own, this is for when it says nothing.
pub(super) const OPENING_TIME_MAX: Duration = Duration::from_secs(30);
/// An answer: a relay that takes longer is as good as gone.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// First pause before trying again; doubles from there.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause: a server that was restarted is found again within this.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that stood this long was a good one: pauses begin small again. Shorter ones come of two copies of a
/// profile taking the mailboxes from one another, or of a relay that fails at once.
pub(super) const GOOD_TIME_MIN: Duration = Duration::from_secs(30);
/// Pause of one contact's messages after the relay refused one (full, too fast).
pub(super) const HOLD: Duration = Duration::from_secs(5);
/// Blocks of one contact on their way at once: a call's set-up says two or three things one after the other, and none
/// should wait a round trip for the answer to the one before it. Eight are 128 KiB in the buffers of a slow line.
const BLOCKS_UNDER_WAY_MAX: usize = 8;
/// A connection that only writes is closed when nothing was written for this long: longer than the pauses of a call's
/// set-up, short beside the relay's time for idle ones.
pub(super) const WRITE_IDLE_MAX: Duration = Duration::from_secs(60);

/// What a connection is for: one queue and nothing else, so that no relay can tell from connections which queues are
/// one person's, or that who writes here reads there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Makes a queue, and is then [`Self::Read`] of it. The number tells such connections apart.
    Make(u32),
    /// Reads one queue, or deletes it. Stands as long as the queue.
    Read(RecipientId),
    /// Writes to one contact, while there is something to write.
    Send(ContactId),
    /// Stands ready to become [`Self::Send`] of whoever is written to next, and has had to do with no queue.
    Spare,
    /// Writes to somebody of whom no more than a spoken code is known.
    Speak(u32),
    /// Puts a letter into its queue, which another connection made.
    Leave(u32),
    /// Fetches the letter that a short link leads to.
    Fetch(u32),
}

pub(super) struct Server {
    pub(super) url: ServerUrl,
    pub(super) purpose: Purpose,
    pub(super) state: State,
    /// To be asked as soon as the connection stands.
    pub(super) tasks: Vec<Task>,
    /// Asked, not answered; by number, so the oldest is first.
    pub(super) asked: BTreeMap<u32, (Asked, Instant)>,
    /// Contacts that may have something to send.
    pub(super) work: BTreeSet<ContactId>,
    /// Contacts whose oldest blocks (or key) are with the relay, not answered yet.
    pub(super) in_flight: BTreeMap<ContactId, UnderWay>,
    /// Contacts that wait after a refusal.
    pub(super) held: BTreeMap<ContactId, Instant>,
    last_number: u32,
    failures: u32,
    greeted_at: Option<Instant>,
    /// When something was last asked.
    used_at: Instant,
}

/// Blocks of one contact that the relay has not answered yet. They arrive in order, for they go over one connection;
/// after a refusal nothing follows until all are answered, and the oldest that is left comes first again.
#[derive(Default)]
pub(super) struct UnderWay {
    count: usize,
    newest: Option<i64>,
    refused: bool,
}

impl UnderWay {
    /// The next block may go.
    pub(super) fn has_room(&self) -> bool {
        !self.refused && self.count < BLOCKS_UNDER_WAY_MAX
    }

    /// One more block went, or our key.
    pub(super) fn went(&mut self, block: Option<i64>) {
        self.count += 1;
        self.newest = block;
    }

    /// The newest block that went.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not connected until then.
    Pausing { until: Instant },
    /// The shell connects, or the relay is to say HELLO.
    Opening { until: Instant },
    /// Commands can be signed.
    Up { challenge: Challenge },
}

/// A queue to be made, for a reason.
pub(super) enum Task {
    /// A link, and maybe a spoken code that leads to it.
    Invite {
        by: Instant,
        with_code: bool,
    },
    Join {
        link: Box<Link>,
        by: Instant,
    },
    /// The queue of a code shown here.
    Offer {
        by: Instant,
    },
    /// Where the answers to a code typed here come.
    Enter {
        by: Instant,
    },
    /// A queue for the letter with this link.
    Letter {
        letter: Box<Letter>,
        by: Instant,
    },
}

impl Task {
    /// What a failure of it is about.
    pub(super) fn wish(&self) -> Wish {
        match self {
            Self::Invite { .. } | Self::Offer { .. } | Self::Letter { .. } => Wish::Invite,
            Self::Join { .. } | Self::Enter { .. } => Wish::Add,
        }
    }
}

/// The secrets of a queue being made.
pub(super) struct NewQueue {
    pub(super) secret: Zeroizing<[u8; 32]>,
    pub(super) seal_key: SealKey,
}

/// What an answer will be about.
pub(super) enum Asked {
    Create {
        task: Task,
        queue: NewQueue,
    },
    Secure(ContactId),
    Send {
        contact: ContactId,
        outbox: i64,
    },
    Subscribe(RecipientId),
    Acknowledge,
    Delete(RecipientId),
    /// A number for the queue of a code.
    Publish,
    /// The writing end of somebody's code, by its number or its id.
    Claim,
    /// A block of a code's exchange.
    Speak,
    /// Our key for the writing end of a letter's queue, then the letter.
    Leave,
    /// The letter of a short link.
    Fetch,
}

impl Server {
    pub(super) fn new(url: ServerUrl, purpose: Purpose, now: Instant) -> Self {
        Self {
            url,
            purpose,
            state: State::Pausing { until: now },
            tasks: Vec::new(),
            asked: BTreeMap::new(),
            work: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            held: BTreeMap::new(),
            last_number: 0,
            failures: 0,
            greeted_at: None,
            used_at: now,
        }
    }

    pub(super) fn open(&mut self, now: Instant) {
        self.state = State::Opening {
            until: now + OPENING_TIME_MAX,
        };
    }

    pub(super) fn greeted(&mut self, now: Instant, challenge: Challenge) {
        self.state = State::Up { challenge };
        self.last_number = 0;
        self.greeted_at = Some(now);
        self.used_at = now;
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Whether it may be closed because nothing was written for long; `None` while it has to stand.
    fn idle_at(&self) -> Option<Instant> {
        let writes = matches!(self.purpose, Purpose::Send(_) | Purpose::Speak(_));
        let is_free =
            self.is_up() && self.asked.is_empty() && self.work.is_empty() && self.held.is_empty();
        (writes && is_free).then(|| self.used_at + WRITE_IDLE_MAX)
    }

    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.idle_at().is_some_and(|at| at <= now)
    }

    /// Forgets the connection; what was asked for a user comes back as tasks.
    pub(super) fn lost(&mut self, now: Instant, rng: &mut impl Rng) {
        let stood = self
            .greeted_at
            .take()
            .map(|since| now.saturating_duration_since(since));
        if stood.is_some_and(|stood| stood >= GOOD_TIME_MIN) {
            self.failures = 0;
        }
        let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(16));
        // Half to whole: clients of a relay that restarts do not all come at once.
        let pause = doubled.min(PAUSE_MAX).mul_f64(rng.random_range(0.5..=1.0));
        self.failures += 1;
        self.state = State::Pausing { until: now + pause };
        for (_, (asked, _)) in std::mem::take(&mut self.asked) {
            if let Asked::Create { task, .. } = asked {
                self.tasks.push(task);
            }
        }
        self.work.clear();
        self.in_flight.clear();
        self.held.clear();
    }

    /// A user waits: no pause.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let State::Pausing { until } = &mut self.state {
            *until = now;
        }
    }

    /// One of what is under way for this contact was answered. True: the first to be refused.
    pub(super) fn landed(&mut self, contact: ContactId, is_refused: bool) -> bool {
        self.work.insert(contact);
        let Some(under_way) = self.in_flight.get_mut(&contact) else {
            return is_refused;
        };
        let is_first = is_refused && !under_way.refused;
        under_way.refused |= is_refused;
        under_way.count -= 1;
        if under_way.count == 0 {
            self.in_flight.remove(&contact);
        }
        is_first
    }

    pub(super) fn number(&mut self, now: Instant, asked: Asked) -> u32 {
        self.last_number += 1;
        self.used_at = now;
        self.asked
            .insert(self.last_number, (asked, now + ANSWER_TIME_MAX));
        self.last_number
    }

    /// The next moment something is due here.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = match self.state {
            State::Pausing { until } | State::Opening { until } => Some(until),
            State::Up { .. } => self.asked.first_key_value().map(|(_, (_, until))| *until),
        };
        let tasks = self.tasks.iter().map(Task::by);
        state
            .into_iter()
            .chain(tasks)
            .chain(self.idle_at())
            .chain(self.held.values().copied())
            .min()
    }
}

impl Task {
    pub(super) fn by(&self) -> Instant {
        match self {
            Self::Invite { by, .. }
            | Self::Join { by, .. }
            | Self::Offer { by }
            | Self::Enter { by }
            | Self::Letter { by, .. } => *by,
        }
    }
}
