//! Which call there is: starts and feeds its thread, and answers those who call while we talk.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use hullo_proto::call::{
    CallId, CallMachine, Invitation, Media as ProtoMedia, Message, RING_TIMEOUT, RefusalReason,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::call::driver::{CallHandle, CallSetup, Command, DriverEvent};
use crate::call::media::{MediaSpecs, Pictures};
use crate::call::side::SideState;
use crate::call::sockets::Reach;
use crate::event::{CallEvent, ContactId, Direction, Event, Media};
use crate::run::Wake;

/// An invitation that waited longer does not ring: the caller has given up by then.
const INVITATION_AGE_MAX: Duration = RING_TIMEOUT;
/// An invitation that waited at all may have been taken back: the end then waits right behind it.
const INVITATION_AGE_FRESH: Duration = Duration::from_secs(2);
/// So long the end is waited for.
const RING_LATE: Duration = Duration::from_millis(700);

/// The one call there may be.
pub struct Calls {
    current: Option<Current>,
    number: u64,
    rng: ChaCha20Rng,
    specs: MediaSpecs,
    reach: Reach,
    pictures: Pictures,
    wake: Sender<Wake>,
    /// An invitation that may have been taken back, and when it rings if it was not.
    late: Option<Late>,
}

struct Late {
    at: Instant,
    contact: ContactId,
    name: String,
    invitation: Invitation,
}

struct Current {
    contact: ContactId,
    call_id: CallId,
    number: u64,
    handle: CallHandle,
}

/// What to do about a message that came.
#[derive(Debug)]
pub enum Outcome {
    /// Events for the model, in order.
    Events(Vec<Event>),
    /// An answer for the contact, and a sentence for the user.
    Reply(Message, String),
}

impl Calls {
    /// No call yet. `wake` is the loop's queue.
    pub fn new(
        specs: MediaSpecs,
        pictures: Pictures,
        rng: ChaCha20Rng,
        wake: Sender<Wake>,
    ) -> Self {
        Self {
            current: None,
            number: 0,
            rng,
            specs,
            reach: Reach::Network,
            pictures,
            wake,
            late: None,
        }
    }

    /// Where peers of the next call are.
    pub fn set_reach(&mut self, reach: Reach) {
        self.reach = reach;
    }

    /// Whether a call's thread is still at work.
    pub fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// The number of the current call, to tell late events of an earlier one apart.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whose and which call has this number, while its thread is at work.
    pub fn call_of(&self, number: u64) -> Option<(ContactId, CallId)> {
        let current = self.current.as_ref()?;
        (current.number == number).then_some((current.contact, current.call_id))
    }

    /// The contact of the current call.
    pub fn contact(&self) -> Option<ContactId> {
        self.current.as_ref().map(|current| current.contact)
    }

    /// Calls a contact.
    ///
    /// # Errors
    /// The machine's: no network address, or no thread.
    pub fn start(
        &mut self,
        now: Instant,
        contact: ContactId,
        media: Media,
    ) -> Result<Event, String> {
        let call_id = CallId::random(&mut self.rng);
        let machine = CallMachine::call(call_id, proto_media(media), self.fork(), now);
        self.begin(contact, call_id, machine, media)?;
        Ok(Event::Call(CallEvent::Started {
            contact,
            direction: Direction::Outgoing,
            media,
        }))
    }

    /// Takes a message of a contact; `age` is how long it waited at the server.
    pub fn message(
        &mut self,
        now: Instant,
        contact: ContactId,
        name: &str,
        message: Message,
        age: Duration,
    ) -> Outcome {
        if let Some(current) = &self.current
            && current.contact == contact
            && message.call_id() == Some(current.call_id)
        {
            current.handle.command(Command::Message(message));
            return Outcome::Events(Vec::new());
        }
        if let Message::End(ended) = &message {
            let same =
                |late: &mut Late| late.contact == contact && late.invitation.call_id == *ended;
            if let Some(late) = self.late.take_if(same) {
                return missed(&late.name);
            }
        }
        let Message::Invitation(invitation) = message else {
            // A leftover of a call that is over.
            return Outcome::Events(Vec::new());
        };
        if age > INVITATION_AGE_MAX {
            return missed(name);
        }
        if age > INVITATION_AGE_FRESH {
            let (at, name) = (now + RING_LATE, name.to_owned());
            let before = self.late.replace(Late {
                at,
                contact,
                name,
                invitation,
            });
            return before.map_or(Outcome::Events(Vec::new()), |late| missed(&late.name));
        }
        self.ring(now, contact, name, invitation)
    }

    /// Rings for an invitation that waited and was not taken back, once it is time.
    pub fn ring_late(&mut self, now: Instant) -> Option<(ContactId, Outcome)> {
        let late = self.late.take_if(|late| late.at <= now)?;
        let outcome = self.ring(now, late.contact, &late.name, late.invitation);
        Some((late.contact, outcome))
    }

    fn ring(
        &mut self,
        now: Instant,
        contact: ContactId,
        name: &str,
        invitation: Invitation,
    ) -> Outcome {
        if self.current.is_some() {
            let reply = Message::Refused {
                call_id: invitation.call_id,
                reason: RefusalReason::Busy,
            };
            return Outcome::Reply(reply, format!("{name} called while you were in a call."));
        }
        let media = if invitation.media == ProtoMedia::Video {
            Media::Video
        } else {
            Media::Audio
        };
        let call_id = invitation.call_id;
        let machine = match CallMachine::incoming(now, invitation, self.fork()) {
            Ok(machine) => machine,
            Err(refused) => {
                return Outcome::Reply(
                    Message::End(call_id),
                    format!("A call from {name}: {refused}."),
                );
            }
        };
        match self.begin(contact, call_id, machine, media) {
            Ok(()) => Outcome::Events(vec![
                Event::Call(CallEvent::Started {
                    contact,
                    direction: Direction::Incoming,
                    media,
                }),
                Event::Incoming { contact, media },
            ]),
            Err(words) => Outcome::Events(vec![Event::Failed(words)]),
        }
    }

    /// Tells the current call's thread something.
    pub fn command(&self, command: Command) {
        if let Some(current) = &self.current {
            current.handle.command(command);
        }
    }

    /// The thread of call `number` has ended.
    pub fn finished(&mut self, number: u64) {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.number == number)
        {
            self.current = None;
        }
    }

    fn begin(
        &mut self,
        contact: ContactId,
        call_id: CallId,
        machine: CallMachine,
        media: Media,
    ) -> Result<(), String> {
        self.number += 1;
        let number = self.number;
        let wake = self.wake.clone();
        let on_event = move |event: DriverEvent| {
            // The loop is gone only when the program is.
            let _ = wake.send(Wake::Driver(number, event));
        };
        let want = if self.pictures.drawn {
            Some((640, 360))
        } else {
            Some(crate::call::side::WANT_SOURCE)
        };
        let setup = CallSetup {
            machine,
            own: SideState {
                camera: media == Media::Video,
                want,
                ..SideState::default()
            },
            reach: self.reach,
            specs: self.specs.clone(),
            pictures: self.pictures.clone(),
        };
        let handle = CallHandle::start(setup, on_event).map_err(|error| {
            format!("The call cannot start: {error}. Check the network of this machine.")
        })?;
        self.current = Some(Current {
            contact,
            call_id,
            number,
            handle,
        });
        Ok(())
    }

    fn fork(&mut self) -> ChaCha20Rng {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        ChaCha20Rng::from_seed(seed)
    }
}

/// The protocol's word for it.
pub fn proto_media(media: Media) -> ProtoMedia {
    match media {
        Media::Audio => ProtoMedia::Audio,
        Media::Video => ProtoMedia::Video,
    }
}

fn missed(name: &str) -> Outcome {
    Outcome::Events(vec![Event::Call(CallEvent::Notice(format!(
        "Missed call from {name}."
    )))])
}
