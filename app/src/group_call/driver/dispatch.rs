//! What the thread of the call of a group does with the engine's events: devices, figures, and news for the model.

mod figures;
mod own;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::AudioFrame;
use hullo_media::pipeline::PictureOf;
use hullo_proto::frame::FrameKind;
use hullo_proto::group::id::{Identity, ParticipantId};
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::roster::Captures as TheirCaptures;
use hullo_proto::group::wire::View;

use super::super::end::GroupEnd;
use super::super::engine::{Event, Input};
use super::super::figures::Figures;
use super::super::loudness::Loudness;
use super::super::media::GroupMedia;
use super::super::queue::LayerQueue;
use super::super::shown::Shown;
use super::{Commands, DriverEvent, Members, Wishes};
use crate::call::latency::Latency;
use crate::call::lease::Devices;
use crate::call::media::{CardTimes, FRAME_RATE_MAX, MediaSpecs, Pictures};
use crate::call::sizes::worth_asking;
use crate::call::sound_watch::SoundWatch;
use crate::event::{CallEvent, CallState, Feed, ParticipantChange};
use crate::text;

/// Everything of the call that is not the engine.
pub(super) struct Dispatch {
    pub(super) queue: LayerQueue,
    pub(super) stop_reason: Option<&'static str>,
    specs: MediaSpecs,
    pictures: Pictures,
    devices: Devices,
    members: Members,
    shown: Shown,
    /// What each of the others sends, and whether it is away.
    states: BTreeMap<ParticipantId, (TheirCaptures, bool)>,
    /// What is drawn of whom: asked for again on a new connection.
    views: BTreeMap<(ParticipantId, Feed), Option<View>>,
    commands: Commands,
    on_event: Box<dyn Fn(DriverEvent) + Send>,
    media: Option<(GroupMedia, CardTimes)>,
    is_opening: bool,
    wishes: Wishes,
    loudness: Loudness,
    /// What the call says that our devices do.
    captures: Captures,
    figures: Figures,
    latency: Latency,
    sound_watch: SoundWatch,
    times: Times,
    reason: &'static str,
    /// Ends without a word.
    is_abandoned: bool,
    /// Whose first sound and picture were told.
    first: BTreeSet<Track>,
    looked_at: Option<Instant>,
    /// When the engine was told last what our loudspeaker plays.
    clocks_told_at: Option<Instant>,
    epoch: Option<u8>,
    undecryptable: u64,
    /// Pictures sent so far, and of these those that figures of a second have told.
    pictures_sent: (u64, u64),
}

/// What our devices do, as announced to the others.
#[derive(Clone, Copy, Default)]
struct Captures {
    microphone: bool,
    camera: bool,
    screen: bool,
}

#[derive(Default)]
struct Times {
    begun: Option<Instant>,
    joined: Option<Instant>,
    first_sound: Option<Instant>,
    ended: Option<Instant>,
    /// It was looked at whether the call lets us be heard.
    is_microphone_checked: bool,
}

impl Dispatch {
    pub(super) fn new(
        (specs, own): (MediaSpecs, Option<Identity>),
        (pictures, devices): (Pictures, Devices),
        members: Members,
        wishes: Wishes,
        queue: LayerQueue,
        commands: Commands,
        on_event: Box<dyn Fn(DriverEvent) + Send>,
    ) -> Self {
        Self {
            queue,
            stop_reason: None,
            specs,
            pictures,
            devices,
            members,
            shown: Shown::new(own),
            states: BTreeMap::new(),
            views: BTreeMap::new(),
            commands,
            on_event,
            media: None,
            is_opening: false,
            wishes,
            loudness: Loudness::default(),
            captures: Captures::default(),
            figures: Figures::default(),
            latency: Latency::default(),
            sound_watch: SoundWatch::default(),
            times: Times::default(),
            reason: "lost",
            is_abandoned: false,
            first: BTreeSet::new(),
            looked_at: None,
            clocks_told_at: None,
            epoch: None,
            undecryptable: 0,
            pictures_sent: (0, 0),
        }
    }

    fn tell(&self, event: DriverEvent) {
        if !self.is_abandoned {
            (self.on_event)(event);
        }
    }

    fn call(&self, event: CallEvent) {
        self.tell(DriverEvent::Call(event));
    }

    fn person(&self, id: ParticipantId, change: ParticipantChange) {
        self.call(CallEvent::Participant(id, change));
    }

    pub(super) fn wishes(&self) -> Wishes {
        self.wishes
    }

    /// The call is over and its last words have had time to leave.
    pub(super) fn is_over(&self, now: Instant, farewell: Duration) -> bool {
        self.times.ended.is_some_and(|at| now >= at + farewell)
    }

    /// How long the thread may sleep.
    pub(super) fn wait_max(&self, idle: Duration) -> Duration {
        if self.times.ended.is_some() {
            Duration::from_millis(20)
        } else if self.media.is_some() {
            self.sound_watch.wait_max()
        } else {
            idle
        }
    }

    /// Another call took this one's place.
    pub(super) fn abandon(&mut self) {
        self.is_abandoned = true;
        self.times.ended.get_or_insert_with(hullo_media::clock::now);
    }

    /// The group's members changed: who is here and has another name now is told.
    pub(super) fn rename(&mut self, members: Members) {
        let before = std::mem::replace(&mut self.members, members);
        let here: Vec<_> = self.shown.members().collect();
        for (member, id) in here {
            let Some(name) = self.members.names.get(&member).cloned() else {
                continue;
            };
            if before.names.get(&member) != Some(&name) {
                self.figures.came(id, name.clone());
                self.person(id, ParticipantChange::Renamed { name });
            }
        }
    }

    /// How a picture is asked for; `None`: nothing changes, because there is no screen.
    pub(super) fn view(
        &mut self,
        id: ParticipantId,
        feed: Feed,
        drawn: Option<(u32, u32)>,
    ) -> Option<Option<View>> {
        if drawn.is_none()
            && let Some((media, _)) = &self.media
        {
            media.forget_picture((id, track(feed)));
        }
        let view = drawn.map(asked);
        // Of those who are here: what is said of others is late.
        if self.states.contains_key(&id) {
            self.views.insert((id, feed), view);
        }
        Some(view)
    }

    /// Takes an event of the engine; what comes of it for the engine again.
    pub(super) fn event(&mut self, now: Instant, event: Event) -> Vec<Input<'static>> {
        self.check_queue();
        match event {
            Event::Joined => self.joined(now),
            Event::Interrupted => self.call(CallEvent::State(CallState::Reconnecting)),
            Event::Resumed => self.call(CallEvent::State(CallState::Connected)),
            Event::Came(id, identity) => return self.came(id, identity),
            Event::Went(id, is_removed) => self.went(id, is_removed),
            Event::Captured(id, capture) => self.captured(id, capture),
            Event::OnHold(id, hold) => self.on_hold(id, hold),
            Event::OwnCapture(capture) => self.own_capture(capture),
            Event::Refused(words) => {
                self.call(CallEvent::Notice(crate::people::sentence(&words)));
            }
            Event::Audio(id, frame) => self.audio(now, id, frame),
            Event::SoundWait(id, wait) => {
                if let Some((media, _)) = &self.media {
                    media.set_sound_wait(id, wait);
                }
            }
            Event::Picture(id, track, frame, contiguous) => {
                self.picture((id, track), frame, contiguous);
            }
            Event::FirstSent(track) => self.first_media(track, false),
            Event::KeyframeWanted(track) => {
                if let Some((media, _)) = &self.media {
                    media.request_keyframe(track);
                }
            }
            Event::ServerEnds => self.notice(text::SERVER_ENDS),
            Event::Wanted(wanted) => {
                if let Some((media, _)) = &mut self.media {
                    media.set_wanted(wanted);
                }
            }
            Event::Estimate(bps) => {
                if let Some((media, _)) = &mut self.media {
                    media.set_estimate(bps);
                }
            }
            Event::Stats(stats) => self.stats(*stats),
            Event::Ended(Some(end)) => self.end(now, end),
            Event::Ended(None) => {
                // The network thread says what this means: another try, or the end.
                self.tell(DriverEvent::ConnectionFailed);
            }
        }
        Vec::new()
    }

    fn joined(&mut self, now: Instant) {
        self.times.joined.get_or_insert(now);
        self.tell(DriverEvent::HelloReceived);
        self.call(CallEvent::State(CallState::Connected));
        self.apply_own();
    }

    fn audio(&mut self, now: Instant, id: ParticipantId, frame: AudioFrame) {
        self.times.first_sound.get_or_insert(now);
        self.first_media(Track::Microphone, true);
        if let Some((media, _)) = &self.media
            && !self.wishes.hold
        {
            media.play(id, frame);
        }
    }

    fn picture(&mut self, of: PictureOf, frame: EncodedFrame, contiguous: bool) {
        if frame.kind == FrameKind::VideoKey {
            self.first_media(of.1, true);
        }
        if let Some((media, _)) = &self.media
            && !self.wishes.hold
        {
            media.show(of, frame, contiguous);
        }
    }

    /// Received things are told once of each kind; sent ones the engine tells once by itself.
    fn first_media(&mut self, track: Track, received: bool) {
        if received && !self.first.insert(track) {
            return;
        }
        let kind = match track {
            Track::Microphone => "audio",
            Track::Camera => "video",
            Track::Screen => "screen",
        };
        self.call(CallEvent::FirstMedia { kind, received });
    }

    fn check_queue(&self) {
        if let Some((media, _)) = &self.media {
            for track in self.queue.take_broken() {
                media.request_keyframe(track);
            }
        }
    }

    /// The call is over for us.
    pub(super) fn end(&mut self, now: Instant, end: GroupEnd) {
        if self.times.ended.is_some() {
            return;
        }
        self.times.ended = Some(now);
        if let Some((media, _)) = &mut self.media {
            media.close_source(Feed::Camera);
            media.close_source(Feed::Screen);
            media.set_muted(true);
        }
        self.reason = self.stop_reason.unwrap_or(end.as_str());
        let duration = self.duration(now);
        self.tell(DriverEvent::Left);
        self.call(CallEvent::State(CallState::Ended {
            reason: self.reason,
            words: end.to_string(),
            duration,
        }));
    }

    fn duration(&self, until: Instant) -> Duration {
        let joined = self.times.joined;
        joined.map_or(Duration::ZERO, |at| until.saturating_duration_since(at))
    }

    fn notice(&self, words: &str) {
        self.call(CallEvent::Notice(words.to_owned()));
    }

    /// The microphone is off at first where many are in the call already; said once.
    fn check_microphone(&mut self) {
        let is_due = self.times.joined.is_some() && !self.times.is_microphone_checked;
        if !is_due {
            return;
        }
        self.times.is_microphone_checked = true;
        if !self.captures.microphone && !self.wishes.muted && !self.wishes.hold {
            self.wishes.muted = true;
            self.notice(text::MUTED_AT_FIRST);
            self.apply_own();
        }
    }
}

fn track(feed: Feed) -> Track {
    match feed {
        Feed::Camera => Track::Camera,
        Feed::Screen => Track::Screen,
    }
}

/// Asks for somewhat more than the cells show, or for the source's size (all zero).
fn asked(drawn: (u32, u32)) -> View {
    worth_asking(drawn).map_or_else(View::default, |(width, height)| View {
        width,
        height,
        fps: FRAME_RATE_MAX,
    })
}
