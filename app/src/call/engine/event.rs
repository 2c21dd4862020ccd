//! What goes into the machine of a call and what comes out of it.

use std::net::SocketAddr;
use std::time::Instant;

use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::AudioFrame;
use hullo_media::session::{SendBudget, SessionStats, Track};
use hullo_media::sound_policy::SoundSettings;
use hullo_proto::call::{CallState, Media, Message};

use super::super::side::SideState;

/// One change.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time passed.
    Timeout,
    /// A datagram arrived on one of our addresses.
    Datagram {
        /// Its sender.
        source: SocketAddr,
        /// Ours.
        destination: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// A message of this contact.
    Message(&'a Message),
    /// The user takes the call.
    Accept(Media),
    /// The user declines it.
    Reject {
        /// Because of another call, and the caller may know.
        busy: bool,
    },
    /// The other program has forgotten this call: it was ended and started again.
    Forgotten,
    /// The user ends it.
    HangUp,
    /// An encoder made a frame.
    Frame(EncodedFrame),
    /// What we send and want changed.
    Own(SideState),
    /// Our decoder cannot go on without a key frame.
    WantKeyframe,
}

/// What comes out.
#[derive(Debug)]
pub enum Output {
    /// A datagram to send.
    Transmit {
        /// From this local address.
        source: SocketAddr,
        /// To this one.
        destination: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A message for the contact.
    Send(Message),
    /// Something happened.
    Event(Event),
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// The call's state.
    State(CallState),
    /// The connection went silent; it may come back.
    Interrupted,
    /// It came back.
    Resumed,
    /// Our sound encoder must work like this from now on.
    Sound(SoundSettings),
    /// A packet of sound, opened; copies of earlier ones follow it.
    Audio(AudioFrame),
    /// A frame of pictures, opened and decodable from here.
    Video(EncodedFrame),
    /// The first frame of a track left.
    FirstSent(Track),
    /// Our encoder must start anew with a key frame.
    KeyframeWanted,
    /// What may be sent from now on; sound goes first, pictures get what is left, or nothing.
    Budget(SendBudget),
    /// True: pictures wait too long to be sent; encode none until it is false.
    PicturesWait(bool),
    /// What the far side sends and wants.
    Far(SideState),
    /// Figures of the last second, with frames that did not open since the call began.
    Stats(Box<SessionStats>, u64),
}
