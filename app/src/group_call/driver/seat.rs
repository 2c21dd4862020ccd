//! The connections of a call: the one that carries it; beside it, while that one fails, a second one; and the one before,
//! until its goodbye is out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::key::PublicKey;
use mio::{Registry, Token};
use rand_chacha::ChaCha20Rng;

use super::dispatch::Dispatch;
use crate::call::sockets::{BATCH_MAX, Reach, Sockets};
use crate::group_call::engine::{Engine, Event, Input, Output, Setup};
use crate::group_call::recovery::Recovery;

/// The commands' wake-up: no socket has this token, however many connections there are.
pub(super) const WAKER: Token = Token(usize::MAX - 1);
/// A second connection whose people do not answer carries the call all the same after so long: with nobody there it
/// would never carry media, and the first one is silent.
const ANSWERS_MAX: Duration = Duration::from_secs(2);
/// A second connection that has not come about after so long is given up: the server is gone again.
const BESIDE_MAX: Duration = Duration::from_secs(8);
/// The goodbye of a connection that was replaced takes some deadlines.
const GOODBYE: Duration = Duration::from_secs(1);

/// Which connection.
#[derive(Clone, Copy)]
pub(super) enum Line {
    Main,
    Beside,
    Gone,
}

impl Line {
    pub(super) const ALL: [Self; 3] = [Self::Main, Self::Beside, Self::Gone];
}

/// A connection to the server.
pub(super) struct Seat {
    pub(super) engine: Engine,
    sockets: Sockets,
    deadline: Option<Instant>,
}

impl Seat {
    /// Binds sockets and begins to connect.
    ///
    /// # Errors
    /// No address could be had, or the server's answer cannot be used; in words.
    pub(super) fn open(now: Instant, registry: &Registry, setup: Setup) -> Result<Self, String> {
        let is_near = |address: &SocketAddr| address.ip().is_loopback();
        let reach = if setup.answer.addresses.iter().all(is_near) {
            Reach::Loopback
        } else {
            Reach::Network
        };
        let sockets = Sockets::open(registry, reach).map_err(|error| {
            format!("The call cannot start: {error}. Check the network of this machine.")
        })?;
        let engine = Engine::new(now, setup, &sockets.addresses())
            .map_err(|error| crate::people::sentence(&error.to_string()))?;
        Ok(Self {
            engine,
            sockets,
            deadline: Some(now),
        })
    }

    /// Sends what waits, gives `take` each event, and notes the next deadline.
    fn drain(&mut self, mut take: impl FnMut(&mut Engine, Event)) {
        loop {
            match self.engine.poll_output() {
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => self.sockets.send(source, destination, &bytes),
                Output::Event(event) => take(&mut self.engine, event),
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
            }
        }
    }
}

/// A second connection.
struct Beside {
    seat: Seat,
    begun_at: Instant,
    joined_at: Option<Instant>,
    is_over: bool,
}

/// See the module.
pub(super) struct Seats {
    pub(super) main: Seat,
    beside: Option<Beside>,
    gone: Option<(Seat, Instant)>,
    recovery: Recovery,
}

impl Seats {
    pub(super) fn new(main: Seat, rng: ChaCha20Rng) -> Self {
        Self {
            main,
            beside: None,
            gone: None,
            recovery: Recovery::new(rng),
        }
    }

    fn seat(&mut self, line: Line) -> Option<&mut Seat> {
        match line {
            Line::Main => Some(&mut self.main),
            Line::Beside => self.beside.as_mut().map(|beside| &mut beside.seat),
            Line::Gone => self.gone.as_mut().map(|(seat, _)| seat),
        }
    }

    /// Reads what waits on one connection; `drained` is called after each datagram. True when more may wait.
    pub(super) fn receive(
        &mut self,
        line: Line,
        buffer: &mut [u8],
        mut drained: impl FnMut(&mut Self),
    ) -> bool {
        let mut more = false;
        let count = self.seat(line).map_or(0, |seat| seat.sockets.len());
        for index in 0..count {
            for left in (0..BATCH_MAX).rev() {
                let Some(seat) = self.seat(line) else {
                    return more;
                };
                let Some((length, source, destination)) = seat.sockets.receive(index, buffer)
                else {
                    break;
                };
                let input = Input::Datagram {
                    source,
                    destination,
                    bytes: buffer.get(..length).unwrap_or_default(),
                };
                seat.engine.handle_input(Instant::now(), input);
                drained(self);
                more |= left == 0;
            }
        }
        more
    }

    pub(super) fn time_passes(&mut self, now: Instant) {
        for line in Line::ALL {
            if let Some(seat) = self.seat(line)
                && seat.deadline.is_some_and(|at| at <= now)
            {
                seat.engine.handle_input(now, Input::Timeout);
            }
        }
    }

    /// Sends what waits and tells `dispatch` what happened on the connection that carries the call; the next deadline.
    pub(super) fn drain(&mut self, dispatch: &mut Dispatch) -> Option<Instant> {
        self.main.drain(|engine, event| {
            let now = Instant::now();
            for input in dispatch.event(now, event) {
                engine.handle_input(now, input);
            }
        });
        if let Some(beside) = &mut self.beside {
            let (joined_at, is_over) = (&mut beside.joined_at, &mut beside.is_over);
            beside.seat.drain(|_, event| match event {
                Event::Joined => *joined_at = Some(Instant::now()),
                Event::Ended(_) => *is_over = true,
                _ => {}
            });
        }
        if let Some((seat, _)) = &mut self.gone {
            seat.drain(|_, _| {});
        }
        let beside = self.beside.as_ref().and_then(|beside| beside.seat.deadline);
        let gone = self.gone.as_ref().and_then(|(seat, _)| seat.deadline);
        let deadlines = [self.main.deadline, beside, gone, self.recovery.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Whether a second connection is to be asked for.
    pub(super) fn wants_beside(&mut self, now: Instant) -> bool {
        self.gone.take_if(|(_, until)| now >= *until);
        let engine = &self.main.engine;
        let is_asked =
            (self.recovery).look(now, engine.silence(now), engine.undecryptable_in_all());
        if !self.recovery.is_wanted() {
            // The first one works again.
            self.give_up_beside(now);
        }
        let is_late = |beside: &mut Beside| {
            let limit = now.saturating_duration_since(beside.begun_at) >= BESIDE_MAX;
            beside.is_over || (limit && beside.joined_at.is_none())
        };
        if self.beside.take_if(is_late).is_some() {
            self.recovery.failed(now);
        }
        is_asked
    }

    /// There is a place for a second connection.
    pub(super) fn open_beside(&mut self, now: Instant, registry: &Registry, setup: Setup) {
        if !self.recovery.is_wanted() || self.beside.is_some() {
            return;
        }
        match Seat::open(now, registry, setup) {
            Ok(seat) => {
                self.beside = Some(Beside {
                    seat,
                    begun_at: now,
                    joined_at: None,
                    is_over: false,
                });
            }
            Err(words) => {
                tracing::warn!(words, "no second connection");
                self.recovery.failed(now);
            }
        }
    }

    /// There is none, for now.
    pub(super) fn no_beside(&mut self, now: Instant) {
        self.recovery.failed(now);
    }

    /// The second connection is not wanted any more.
    pub(super) fn give_up_beside(&mut self, now: Instant) {
        if let Some(beside) = self.beside.take() {
            self.part(now, beside.seat);
        }
    }

    /// The group's members changed: the second connection must know as well.
    pub(super) fn members(&mut self, now: Instant, keys: &BTreeMap<Identity, PublicKey>) {
        if let Some(beside) = &mut self.beside {
            let input = Input::Members(keys.clone());
            beside.seat.engine.handle_input(now, input);
        }
    }

    /// Goes over to the second connection if it carries media; the first one says goodbye. Who was seen there, if so.
    pub(super) fn take_over(&mut self, now: Instant) -> Option<Vec<(ParticipantId, Identity)>> {
        let carries = |beside: &mut Beside| {
            let waited = |at| now.saturating_duration_since(at) >= ANSWERS_MAX;
            beside.seat.engine.carries_media() || beside.joined_at.is_some_and(waited)
        };
        let beside = self.beside.take_if(carries)?;
        let before = std::mem::replace(&mut self.main, beside.seat);
        self.main.engine.succeed(&before.engine);
        let people = before.engine.people();
        let people = people.map(|(who, entry)| (entry.id, who)).collect();
        self.recovery.over();
        self.part(now, before);
        Some(people)
    }

    fn part(&mut self, now: Instant, mut seat: Seat) {
        seat.engine.handle_input(now, Input::Leave);
        seat.drain(|_, _| {});
        self.gone = Some((seat, now + GOODBYE));
    }
}
