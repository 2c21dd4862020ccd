//! Packets from publishers to viewers: who gets what, in which layer.

use std::time::Instant;

use hullo_proto::service::sfu::{CallId, LayersWanted, Mids, ParticipantId, View};
use rand::Rng;
use str0m::media::Mid;
use str0m::rtp::RtpPacket;

use super::Forwarder;
use super::down::{Down, Forwarded, Picture};
use super::keyframe::VIEWER_PAUSE;
use super::layer::{self, Demand, LAYERS, Layer};
use super::peer::{Peer, Pictures};
use super::source::{Feed, Stream};

/// Sound is served before pictures: this much is kept for each voice, Opus with all its headers.
const VOICE_BPS: u64 = 50_000;
/// Kept for messages and retransmissions.
const SPARE: (u64, u64) = (9, 10);
/// What is asked of the estimate beyond the rates: layers vary, and [`SPARE`] is kept.
const HEADROOM: (u64, u64) = (5, 4);

/// Of the estimate, padding fills this much: the rest is headers, which the estimate leaves out, and sound's way past a
/// queue that would never empty.
const PADDED: (u64, u64) = (3, 4);

impl Forwarder {
    /// One packet of one of `slot`'s streams.
    pub(super) fn packet(&mut self, slot: usize, (feed, layer): Stream, packet: &RtpPacket) {
        let now = self.now;
        let Some(publisher) = self.peers[slot].as_mut() else {
            return;
        };
        self.metrics.packets_in_total.add_one();
        let picture = match publisher.pictures(feed) {
            None => None,
            Some(pictures) => {
                let Some(picture) = Picture::parse(&packet.payload) else {
                    return;
                };
                let is_new = pictures.layers[layer].packet(now, packet.payload.len(), picture.size);
                if picture.starts_key_frame {
                    pictures.requests.came(layer);
                }
                if is_new || picture.size.is_some() {
                    self.choose_layers_of_viewers(slot, feed);
                }
                Some(picture)
            }
        };
        let Some(publisher) = self.peers[slot].as_mut() else {
            return;
        };
        // Taken out while others are touched, and put back: nothing here changes who watches.
        let viewers = std::mem::take(publisher.viewers(feed));
        for &(viewer, down) in &viewers {
            self.forward(viewer, down, layer, packet, picture.as_ref());
        }
        if let Some(publisher) = self.peers[slot].as_mut() {
            *publisher.viewers(feed) = viewers;
        }
    }

    fn forward(
        &mut self,
        viewer: usize,
        down: usize,
        layer: usize,
        packet: &RtpPacket,
        picture: Option<&Picture>,
    ) {
        let now = self.now;
        let Some(peer) = self.peers[viewer].as_mut() else {
            return;
        };
        let Some(down) = peer.downs[down].as_mut() else {
            return;
        };
        let ssrc = down.ssrc;
        if let Forwarded::Yes(write, switched) = down.packet(now, layer, packet, picture) {
            peer.write(ssrc, *write);
            self.metrics.packets_out_total.add_one();
            if switched {
                self.metrics.layer_switches_total.add_one();
            }
            // The last packet of a frame takes the others along.
            if picture.is_some() && !packet.header.marker {
                self.touch_soon(viewer);
            } else {
                self.touch(viewer);
            }
        }
    }

    /// What `viewer` wants of `publisher` changed.
    pub(super) fn watch(
        &mut self,
        call_id: &CallId,
        viewer: ParticipantId,
        publisher: ParticipantId,
    ) {
        let Some(call) = self.calls.get(call_id) else {
            return;
        };
        let (Some(&viewer_slot), Some(&publisher_slot)) =
            (call.slots.get(&viewer), call.slots.get(&publisher))
        else {
            return;
        };
        let watched = call.room.watched(viewer, publisher);
        let sound = watched.microphone.then(View::default);
        for (feed, view) in [
            (Feed::Microphone, sound),
            (Feed::Camera, watched.camera),
            (Feed::Screen, watched.screen),
        ] {
            self.watch_feed(viewer_slot, (publisher, publisher_slot), feed, view);
        }
        self.choose_layers(viewer_slot);
        self.say_wanted(publisher_slot);
    }

    fn watch_feed(
        &mut self,
        viewer: usize,
        publisher: (ParticipantId, usize),
        feed: Feed,
        view: Option<View>,
    ) {
        let Some(peer) = self.peers[viewer].as_mut() else {
            return;
        };
        let known = peer.downs.iter().position(|down| {
            down.as_ref()
                .is_some_and(|down| down.publisher == publisher.0 && down.feed == feed)
        });
        let index = match (known, view) {
            (Some(index), _) => index,
            (None, None) => return,
            (None, Some(_)) => {
                let mid = Mid::from(mid_of(publisher.0, feed).as_str());
                // Zero is the stack's own number for probes.
                let [ssrc, resent] = [(); 2].map(|()| (self.rng.next_u32() | 1).into());
                let first = ((self.rng.next_u32() & 0x7fff) as u16, self.rng.next_u32());
                peer.declare(mid, feed, ssrc, resent);
                let down = Some(Down::new(publisher, feed, mid, ssrc, first));
                let index = peer
                    .downs
                    .iter()
                    .position(Option::is_none)
                    .unwrap_or(peer.downs.len());
                if index == peer.downs.len() {
                    peer.downs.push(down);
                } else {
                    peer.downs[index] = down;
                }
                index
            }
        };
        let Some(down) = peer.downs[index].as_mut() else {
            return;
        };
        let was_watched = down.view.is_some();
        down.view = view;
        if view.is_none() {
            down.pause();
        } else if feed != Feed::Microphone {
            peer.line.start(self.now);
        }
        self.touch(viewer);
        let Some(publisher) = self.peers[publisher.1].as_mut() else {
            return;
        };
        let viewers = publisher.viewers(feed);
        match (was_watched, view.is_some()) {
            (false, true) => viewers.push((viewer, index)),
            (true, false) => viewers.retain(|&entry| entry != (viewer, index)),
            _ => {}
        }
    }

    /// A viewer lost the picture of `mid`.
    pub(super) fn key_frame_wanted(&mut self, viewer: usize, mid: Mid) {
        let now = self.now;
        let Some(peer) = self.peers[viewer].as_mut() else {
            return;
        };
        let Some(down) = peer.downs.iter_mut().flatten().find(|down| down.mid == mid) else {
            return;
        };
        let recently = down
            .key_frame_asked_at
            .is_some_and(|at| now.saturating_duration_since(at) < VIEWER_PAUSE);
        let Some(layer) = down.target.or(down.current).filter(|_| !recently) else {
            return;
        };
        down.key_frame_asked_at = Some(now);
        let (slot, feed) = (down.publisher_slot, down.feed);
        self.want_key_frame(slot, feed, layer);
    }

    fn want_key_frame(&mut self, publisher: usize, feed: Feed, layer: usize) {
        if let Some(pictures) = self.peers[publisher]
            .as_mut()
            .and_then(|peer| peer.pictures(feed))
        {
            pictures.requests.want(layer);
            self.ask_key_frames(publisher);
        }
    }

    /// Passes on the requests that are due.
    fn ask_key_frames(&mut self, publisher: usize) {
        let now = self.now;
        let Some(peer) = self.peers[publisher].as_mut() else {
            return;
        };
        let mut asked = 0;
        for feed in [Feed::Camera, Feed::Screen] {
            let mid = Mid::from(mid_of(peer.id, feed).as_str());
            let due = peer
                .pictures(feed)
                .map_or_else(Vec::new, |pictures| pictures.requests.due(now));
            asked += due
                .into_iter()
                .filter(|&layer| peer.ask_key_frame(mid, layer))
                .count();
        }
        if asked > 0 {
            self.metrics.keyframe_requests_total.add(asked as u64);
            self.touch(publisher);
        }
    }

    /// Ten times a second.
    pub(super) fn look_after_media(&mut self, slot: usize) {
        let Some(peer) = self.peers[slot].as_mut() else {
            return;
        };
        let awaited: Vec<_> = peer
            .downs
            .iter()
            .flatten()
            .filter_map(|down| Some((down.publisher_slot, down.feed, down.awaits_key_frame()?)))
            .collect();
        let has_pictures = peer
            .downs
            .iter()
            .flatten()
            .any(|down| down.view.is_some() && down.feed != Feed::Microphone);
        for (publisher, feed, layer) in awaited {
            self.want_key_frame(publisher, feed, layer);
        }
        if has_pictures {
            self.choose_layers(slot);
        }
        self.ask_key_frames(slot);
        self.say_wanted(slot);
    }

    fn choose_layers_of_viewers(&mut self, publisher: usize, feed: Feed) {
        let Some(peer) = self.peers[publisher].as_mut() else {
            return;
        };
        let viewers: Vec<_> = peer
            .viewers(feed)
            .iter()
            .map(|&(viewer, _)| viewer)
            .collect();
        for viewer in viewers {
            self.choose_layers(viewer);
        }
    }

    /// Shares a viewer's line among what it watches.
    pub(super) fn choose_layers(&mut self, viewer: usize) {
        let now = self.now;
        let Some(peer) = self.peers[viewer].as_ref() else {
            return;
        };
        let watched: Vec<_> = watched_pictures(peer)
            .map(|(index, down)| self.demand_of(index, down))
            .collect();
        let demands: Vec<_> = watched
            .iter()
            .map(|(_, view, layers, current)| Demand {
                view: *view,
                layers,
                current: *current,
            })
            .collect();
        let budget = budget_bps(now, peer);
        let mut chosen = layer::allocate(now, budget, &demands);
        if peer.line.is_new() {
            // A line on which nothing is sent would stay unmeasured.
            for (chosen, demand) in chosen.iter_mut().zip(&demands) {
                *chosen = chosen.or_else(|| layer::candidates(now, demand).last().copied());
            }
        }
        let ideal_bps: u64 = demands
            .iter()
            .map(|demand| {
                u64::from(layer::rate(
                    demand.layers,
                    layer::ideal(demand.view, demand.layers),
                ))
            })
            .sum();
        let Some(peer) = self.peers[viewer].as_mut() else {
            return;
        };
        // While anybody gets less than fits, padding keeps the line measured: an idle line shows nothing of what it can carry.
        let reached = chosen.iter().zip(&demands).all(|(chosen, demand)| {
            let candidates = layer::candidates(now, demand);
            candidates.is_empty() || *chosen == candidates.first().copied()
        });
        let desired = (ideal_bps + voices_bps(peer)) * HEADROOM.0 / HEADROOM.1;
        let padded = (peer.line.estimate_bps * PADDED.0 / PADDED.1).min(desired);
        let wish = peer.line.wish(now, desired);
        peer.want_bitrate(if reached { 0 } else { padded }, wish);
        let mut awaited = Vec::new();
        for ((index, ..), target) in watched.iter().zip(chosen) {
            let Some(down) = peer.downs[*index].as_mut() else {
                continue;
            };
            if down.target == target {
                continue;
            }
            down.target = target;
            if target.is_none() {
                down.pause();
            }
            awaited.extend(
                down.awaits_key_frame()
                    .map(|layer| (down.publisher_slot, down.feed, layer)),
            );
        }
        for (publisher, feed, layer) in awaited {
            self.want_key_frame(publisher, feed, layer);
        }
    }

    fn demand_of(
        &self,
        index: usize,
        down: &Down,
    ) -> (usize, View, [Layer; LAYERS], Option<usize>) {
        let publisher = self.peers[down.publisher_slot].as_ref();
        let layers = publisher.map_or([Layer::default(); LAYERS], |peer| {
            pictures(peer, down.feed).layers
        });
        (index, down.view.unwrap_or_default(), layers, down.current)
    }

    /// Tells a publisher which of its layers anybody wants.
    fn say_wanted(&mut self, publisher: usize) {
        let Some(peer) = self.peers[publisher].as_ref() else {
            return;
        };
        let mut wanted = LayersWanted::default();
        let mut camera_view = None;
        for &(viewer, index) in &peer.camera.viewers {
            let Some((view, layers)) = self.layers_wanted(viewer, index, &peer.camera) else {
                continue;
            };
            camera_view = Some(camera_view.map_or(view, |before| larger(before, view)));
            layers
                .into_iter()
                .for_each(|layer| wanted.camera[layer] = true);
        }
        for &(viewer, index) in &peer.screen.viewers {
            if let Some((view, _)) = self.layers_wanted(viewer, index, &peer.screen) {
                wanted.screen = Some(wanted.screen.map_or(view, |before| larger(before, view)));
            }
        }
        wanted.camera_view = camera_view.unwrap_or_default();
        if self.peers[publisher]
            .as_mut()
            .is_some_and(|peer| peer.say_wanted(wanted))
        {
            self.touch(publisher);
        }
    }

    /// Takes no new calls from now on, and tells our own clients that it ends.
    pub(super) fn say_ending(&mut self) {
        self.is_draining = true;
        for slot in 0..self.peers.len() {
            if (self.peers[slot].as_mut()).is_some_and(Peer::say_ending) {
                self.touch(slot);
            }
        }
    }

    /// What one viewer would like to see and can be sent, and what it is sent until then.
    fn layers_wanted(
        &self,
        viewer: usize,
        index: usize,
        published: &Pictures,
    ) -> Option<(View, Vec<usize>)> {
        let peer = self.peers[viewer].as_ref()?;
        let down = peer.downs[index].as_ref()?;
        let view = down.view?;
        let share = budget_bps(self.now, peer) / (watched_pictures(peer).count() as u64).max(1);
        let best = layer::ideal(view, &published.layers);
        let affordable = (0..=best)
            .rev()
            .find(|&layer| u64::from(layer::rate(&published.layers, layer)) <= share);
        let wanted = affordable.unwrap_or(0);
        Some((
            view,
            std::iter::once(wanted)
                .chain(down.current)
                .chain(down.target)
                .collect(),
        ))
    }

    /// `slot` left: nobody is sent its feeds any more, and it is sent nobody's.
    pub(super) fn detach_media(&mut self, slot: usize, gone: &mut Peer) {
        for (index, down) in gone.downs.iter().enumerate() {
            let Some(down) = down else { continue };
            if let Some(publisher) = self.peers[down.publisher_slot].as_mut() {
                publisher
                    .viewers(down.feed)
                    .retain(|&entry| entry != (slot, index));
            }
        }
        let Some(call) = self.calls.get(&gone.call) else {
            return;
        };
        for viewer in call.slots.values().copied().collect::<Vec<_>>() {
            let Some(peer) = self.peers[viewer].as_mut() else {
                continue;
            };
            for index in 0..peer.downs.len() {
                if let Some(down) = peer.downs[index].take_if(|down| down.publisher == gone.id) {
                    peer.forget(down.mid);
                }
            }
            self.touch(viewer);
        }
    }
}

fn watched_pictures(peer: &Peer) -> impl Iterator<Item = (usize, &Down)> {
    let downs = peer
        .downs
        .iter()
        .enumerate()
        .filter_map(|(index, down)| Some((index, down.as_ref()?)));
    downs.filter(|(_, down)| down.feed != Feed::Microphone && down.view.is_some())
}

fn voices_bps(peer: &Peer) -> u64 {
    let voices = peer
        .downs
        .iter()
        .flatten()
        .filter(|down| down.feed == Feed::Microphone && down.view.is_some());
    voices.count() as u64 * VOICE_BPS
}

/// What of a viewer's line pictures may take.
fn budget_bps(now: Instant, peer: &Peer) -> u64 {
    let Some(bps) = peer.line.bound_bps(now) else {
        return u64::MAX;
    };
    (bps * SPARE.0 / SPARE.1).saturating_sub(voices_bps(peer))
}

fn pictures(peer: &Peer, feed: Feed) -> &Pictures {
    if feed == Feed::Screen {
        &peer.screen
    } else {
        &peer.camera
    }
}

fn mid_of(id: ParticipantId, feed: Feed) -> hullo_proto::service::sfu::Mid {
    let mids = Mids::of(id);
    match feed {
        Feed::Microphone => mids.microphone(),
        Feed::Camera => mids.camera(),
        Feed::Screen => mids.screen(),
    }
}

fn larger(a: View, b: View) -> View {
    // Nought means *as you like*, the largest of all.
    let larger = |a: u32, b: u32| if a == 0 || b == 0 { 0 } else { a.max(b) };
    View {
        width: larger(a.width, b.width),
        height: larger(a.height, b.height),
        fps: larger(a.fps, b.fps),
    }
}
