//! The calls there are: starts and feeds their threads, and does what the switchboard says about messages.

pub(crate) mod devices;
mod group;
mod turn;

pub use group::ThreadNumber;

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use group::GroupPart;
use hullo_media::process::Processing;
use hullo_proto::call::{
    CallId, CallMachine, CallState as MachineState, Invitation, Media as ProtoMedia, Message,
};
use hullo_signalling::lobby::LobbyCommand;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::call::board::{Board, Verdict};
use crate::call::driver::{CallHandle, CallSetup, Command, DriverEvent};
use crate::call::lease::Devices;
use crate::call::media::{MediaSpecs, Pictures};
use crate::call::servers::CallServers;
use crate::call::side::SideState;
use crate::call::sockets::Reach;
use crate::event::{
    CallEvent, CallNumber, CallState, ContactId, Direction, Event, Media, Party, Unrung,
};
use crate::report::Summary;
use crate::run::Wake;

/// All calls of the program.
pub struct Calls {
    current: Vec<Current>,
    board: Board,
    last_number: u64,
    rng: ChaCha20Rng,
    specs: MediaSpecs,
    /// The same as they were at the start, and the names of microphone and speaker then.
    given: MediaSpecs,
    names_given: [Option<String>; 2],
    devices: Devices,
    reach: Reach,
    /// Somebody draws pictures.
    is_drawn: bool,
    /// Which servers help calls come about, and whether they may come about without.
    servers: CallServers,
    turn: turn::Given,
    wake: Sender<Wake>,
    /// The call of a group; the protocol knows one at a time.
    group: Option<GroupPart>,
}

struct Current {
    number: CallNumber,
    contact: ContactId,
    call_id: CallId,
    pictures: Pictures,
    handle: CallHandle,
    /// Its last state was told: only its devices are still being closed.
    is_over: bool,
}

/// What comes of a message or a wish, in order.
#[derive(Debug)]
pub enum Outcome {
    /// For the model.
    Event(Event),
    /// For this contact.
    Send(ContactId, Message),
    /// For the history.
    News(CallNews),
    /// For the network thread, about the call of a group.
    Lobby(LobbyCommand),
    /// The last word of a call that never had a thread.
    Summary(Box<Summary>),
}

/// One step in the life of a call, told once and in order: what the history is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallNews {
    /// With whom.
    pub contact: ContactId,
    /// Which call.
    pub call_id: CallId,
    /// What happened.
    pub step: Step,
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes out, or rings here.
    Begun(Direction, Media),
    /// It was taken, here or there.
    Accepted,
    /// Sound flows for the first time.
    Connected,
    /// It is over.
    Ended {
        /// A stable word, as in the reports.
        reason: &'static str,
        /// Time connected.
        duration: Duration,
    },
    /// It came in and did not ring.
    Missed(Unrung),
    /// Both called at once: this call is the same as that one, and no entry of its own.
    MergedInto(CallId),
}

impl Step {
    /// A word for the log: without ids.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Begun(..) => "begun",
            Self::Accepted => "accepted",
            Self::Connected => "connected",
            Self::Ended { reason, .. } => reason,
            Self::Missed(_) => "missed",
            Self::MergedInto(_) => "merged",
        }
    }
}

impl Calls {
    /// No call yet. `wake` is the loop's queue; `is_drawn`: somebody looks at pictures.
    pub fn new(
        specs: MediaSpecs,
        is_drawn: bool,
        servers: CallServers,
        rng: ChaCha20Rng,
        wake: Sender<Wake>,
    ) -> Self {
        Self {
            current: Vec::new(),
            board: Board::default(),
            last_number: 0,
            rng,
            names_given: [specs.mic_choice.get(), specs.speaker_choice.get()],
            given: specs.clone(),
            specs,
            devices: Devices::new(),
            reach: Reach::Network,
            is_drawn,
            turn: turn::Given::new(&servers),
            servers,
            wake,
            group: None,
        }
    }

    /// What is done to the sound of the microphone from now on, in all calls.
    pub fn set_processing(&self, processing: Processing) {
        self.specs.process.set(processing);
    }

    /// Where peers of the next call are.
    pub fn set_reach(&mut self, reach: Reach) {
        self.reach = reach;
    }

    /// Lets calls ring or not.
    pub fn set_do_not_disturb(&mut self, on: bool) {
        self.board.do_not_disturb = on;
    }

    /// Whether a call's thread is still at work.
    pub fn is_busy(&self) -> bool {
        !self.current.is_empty() || self.group.is_some()
    }

    /// With whom the call of this number is.
    pub fn contact(&self, number: CallNumber) -> Option<ContactId> {
        self.find(number).map(|current| current.contact)
    }

    /// Where the pictures of this call lie.
    pub fn pictures(&self, number: CallNumber) -> Option<&Pictures> {
        let in_group = (self.group.as_ref()).filter(|part| part.number == number);
        (self.find(number).map(|current| &current.pictures)).or(in_group.map(|part| &part.pictures))
    }

    /// Whose and which call has this number, while its thread is at work.
    pub fn call_of(&self, number: CallNumber) -> Option<(ContactId, CallId)> {
        self.find(number)
            .map(|current| (current.contact, current.call_id))
    }

    fn find(&self, number: CallNumber) -> Option<&Current> {
        self.current.iter().find(|current| current.number == number)
    }

    /// Calls somebody, or goes for the call of a group.
    ///
    /// # Errors
    /// The machine's: no network address, no thread; in words that say what to do.
    pub fn start(
        &mut self,
        now: Instant,
        party: Party,
        media: Media,
    ) -> Result<Vec<Outcome>, String> {
        let contact = match party {
            Party::Contact(contact) => contact,
            Party::Group(group) => return self.start_group(group, media),
        };
        if !self.servers.allows_calls() {
            return Ok(self.start_with_turn(party, media));
        }
        let call_id = CallId::random(&mut self.rng);
        let machine = CallMachine::call(call_id, proto_media(media), self.fork(), now);
        let direction = Direction::Outgoing;
        let number = self.begin(contact, call_id, machine, media)?;
        let mut outcomes = vec![
            Outcome::Event(Event::Call(number, CallEvent::Started { party, media })),
            news(contact, call_id, Step::Begun(direction, media)),
        ];
        let verdicts = self.board.placed(number, contact, call_id);
        self.carry_out(now, verdicts, &mut outcomes);
        Ok(outcomes)
    }

    /// Takes a message of a contact; `age` is how long it was under way.
    pub fn message(
        &mut self,
        now: Instant,
        contact: ContactId,
        message: Message,
        age: Duration,
    ) -> Vec<Outcome> {
        let mut outcomes = self.no_longer_waits(contact, &message);
        let verdicts = self.board.message(now, contact, message, age);
        self.carry_out(now, verdicts, &mut outcomes);
        outcomes
    }

    /// When [`Self::ring_late`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.board.deadline()
    }

    /// Rings for invitations that waited and were not taken back, once it is time.
    pub fn ring_late(&mut self, now: Instant) -> Vec<Outcome> {
        let verdicts = self.board.ring_late(now);
        let mut outcomes = Vec::new();
        self.carry_out(now, verdicts, &mut outcomes);
        outcomes
    }

    fn carry_out(&mut self, now: Instant, verdicts: Vec<Verdict>, outcomes: &mut Vec<Outcome>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Deliver(number, message) => {
                    outcomes.extend(self.command(number, Command::Message(message)));
                }
                Verdict::Ring(contact, invitation) => {
                    self.ring(now, contact, invitation, outcomes);
                }
                Verdict::Reply(contact, message) => outcomes.push(Outcome::Send(contact, message)),
                Verdict::Missed(contact, call_id, why) => {
                    outcomes.extend(missed(contact, call_id, why));
                }
                Verdict::Merged {
                    contact,
                    lost,
                    kept,
                } => {
                    let of_call = |current: &&mut Current| {
                        current.contact == contact && current.call_id == lost
                    };
                    if let Some(current) = self.current.iter_mut().find(of_call) {
                        current.call_id = kept;
                    }
                    outcomes.push(news(contact, lost, Step::MergedInto(kept)));
                }
                Verdict::Forgotten(number) => {
                    outcomes.extend(self.command(number, Command::Forgotten));
                }
            }
        }
    }

    fn ring(
        &mut self,
        now: Instant,
        contact: ContactId,
        invitation: Invitation,
        outcomes: &mut Vec<Outcome>,
    ) {
        let media = match invitation.media {
            ProtoMedia::Video => Media::Video,
            ProtoMedia::Audio => Media::Audio,
        };
        let call_id = invitation.call_id;
        if !self.servers.allows_calls() {
            return outcomes.extend(self.ring_with_turn(contact, invitation));
        }
        let machine = match CallMachine::incoming(now, invitation, self.fork()) {
            Ok(machine) => machine,
            Err(refused) => {
                outcomes.push(Outcome::Send(contact, Message::End(call_id)));
                let words = format!("Somebody called: {refused}.");
                return outcomes.push(Outcome::Event(Event::Failed(words)));
            }
        };
        let direction = Direction::Incoming;
        match self.begin(contact, call_id, machine, media) {
            Ok(call) => {
                self.board.rings(call, contact, call_id);
                let party = Party::Contact(contact);
                let incoming = Event::Incoming { call, party, media };
                outcomes.push(Outcome::Event(incoming));
                outcomes.push(news(contact, call_id, Step::Begun(direction, media)));
            }
            Err(words) => outcomes.push(Outcome::Event(Event::Failed(words))),
        }
    }

    /// Tells the thread of a call something.
    pub fn command(&mut self, number: CallNumber, command: Command) -> Vec<Outcome> {
        if self
            .group
            .as_ref()
            .is_some_and(|part| part.number == number)
        {
            return self.command_group(command);
        }
        if matches!(command, Command::HangUp(_) | Command::Reject(_)) {
            self.board.ending(number);
        }
        if let Some(current) = self.find(number) {
            current.handle.command(command);
        }
        Vec::new()
    }

    /// Ends every call; the word is their summaries' reason.
    pub fn hang_up_all(&mut self, reason: Option<&'static str>) -> Vec<Outcome> {
        let one_to_one = self.current.iter().map(|current| current.number);
        let in_group = self.group.as_ref().map(|part| part.number);
        let numbers: Vec<CallNumber> = one_to_one.chain(in_group).collect();
        let end = |number| self.command(number, Command::HangUp(reason));
        numbers.into_iter().flat_map(end).collect()
    }

    /// Notes what a call's thread tells; gives the news for the history.
    pub fn note(&mut self, number: CallNumber, event: &DriverEvent) -> Option<CallNews> {
        let current = self
            .current
            .iter_mut()
            .find(|current| current.number == number)?;
        let state = match event {
            DriverEvent::Finished(_) => {
                self.board.finished(number);
                self.current.retain(|current| current.number != number);
                return None;
            }
            DriverEvent::Call(CallEvent::State(state)) if !current.is_over => state,
            _ => return None,
        };
        let step = match state {
            CallState::Connecting => {
                self.board.changed(number, &MachineState::Connecting);
                Step::Accepted
            }
            CallState::Connected => {
                self.board.changed(number, &MachineState::Connected);
                Step::Connected
            }
            CallState::Ended {
                reason, duration, ..
            } => {
                current.is_over = true;
                self.board.ending(number);
                let (reason, duration) = (*reason, *duration);
                Step::Ended { reason, duration }
            }
            CallState::Inviting | CallState::Ringing | CallState::Reconnecting => return None,
        };
        Some(CallNews {
            contact: current.contact,
            call_id: current.call_id,
            step,
        })
    }

    fn begin(
        &mut self,
        contact: ContactId,
        call_id: CallId,
        machine: CallMachine,
        media: Media,
    ) -> Result<CallNumber, String> {
        self.last_number += 1;
        let number = CallNumber(self.last_number);
        let (wake, picture_wake) = (self.wake.clone(), self.wake.clone());
        let on_event = move |event: DriverEvent| {
            // The loop is gone only when the program is.
            let _ = wake.send(Wake::Driver(number, event));
        };
        let pictures = Pictures::new(self.is_drawn, move || {
            // A full queue means that the loop is about to look anyway.
            let _ = picture_wake.try_send(Wake::Pictures(number));
        });
        let want = if self.is_drawn {
            Some((640, 360))
        } else if self.specs.nobody_looks {
            None
        } else {
            Some(crate::call::side::WANT_SOURCE)
        };
        let is_alone = self.is_alone();
        let setup = CallSetup {
            machine,
            own: SideState {
                camera: media == Media::Video,
                want,
                ..SideState::default()
            },
            reach: self.reach,
            servers: self.servers.clone(),
            rng: self.fork(),
            specs: if is_alone {
                self.specs.clone()
            } else {
                self.specs.beside(number.0)
            },
            pictures: pictures.clone(),
            devices: self.devices.clone(),
        };
        let handle = CallHandle::start(setup, on_event).map_err(|error| {
            format!("The call cannot start: {error}. Check the network of this machine.")
        })?;
        self.current.push(Current {
            number,
            contact,
            call_id,
            pictures,
            handle,
            is_over: false,
        });
        Ok(number)
    }

    /// No other call runs: files that are written need no other names.
    fn is_alone(&self) -> bool {
        self.current.iter().all(|current| current.is_over) && self.group.is_none()
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

fn news(contact: ContactId, call_id: CallId, step: Step) -> Outcome {
    Outcome::News(CallNews {
        contact,
        call_id,
        step,
    })
}

fn missed(contact: ContactId, call_id: CallId, why: Unrung) -> [Outcome; 2] {
    let party = Party::Contact(contact);
    [
        Outcome::Event(Event::Missed { party, why }),
        news(contact, call_id, Step::Missed(why)),
    ]
}
