//! What goes into the machine of a call and what comes out of it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::{AudioFrame, SoundClock};
use hullo_media::reach::{StreamId, StunServer, TurnServer};
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
    /// Servers whose names were resolved, for the sessions there are and those to come.
    Servers(Vec<StunServer>, Vec<TurnServer>),
    /// The sockets asked for by [`Output::Bind`].
    Bound(u32, Vec<SocketAddr>),
    /// This machine has a new address, and a socket on it.
    Local(SocketAddr),
    /// This machine has this address no longer.
    LocalGone(IpAddr),
    /// A stream stands; our end of it.
    Opened(StreamId, SocketAddr),
    /// Bytes came on a stream.
    Data(StreamId, &'a [u8]),
    /// A stream ended or never stood; why, in words.
    Closed(StreamId, String),
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
    /// What of the far side our loudspeaker plays when, each 20 ms; `None`: nothing now.
    SoundPlays(Option<SoundClock>),
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
    /// Sockets are needed for a session of this number, none that was used before; answered by [`Input::Bound`].
    Bind(u32),
    /// These sockets are no longer needed, once what was sent has left.
    Release(Vec<SocketAddr>),
    /// Connect a stream.
    Connect {
        /// Its number.
        stream: StreamId,
        /// Where to.
        destination: SocketAddr,
        /// Speak TLS to a server of this name.
        tls: Option<String>,
    },
    /// Bytes for a stream.
    Write(StreamId, Vec<u8>),
    /// A stream is no longer needed.
    Disconnect(StreamId),
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
    /// For people: what is being tried, or what has failed.
    Step {
        /// A sentence without its full stop.
        words: String,
        /// It has failed.
        is_trouble: bool,
    },
    /// Our sound encoder must work like this from now on.
    Sound(SoundSettings),
    /// A packet of sound, opened; copies of earlier ones follow it.
    Audio(AudioFrame),
    /// A frame of pictures, opened and decodable from here, when it is to be shown.
    Video(EncodedFrame),
    /// The far side's sound must have at least this delay, so that its pictures are in time.
    SoundWait(Duration),
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
