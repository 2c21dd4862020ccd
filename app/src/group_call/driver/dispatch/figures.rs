//! Figures: who is heard, each second's, and the whole call in one object.

use std::time::{Duration, Instant};

use hullo_media::frame::BLOCK_TIME;
use hullo_media::group_session::{GroupSessionStats, OwnTrack};
use hullo_media::jitter::SoundClock;
use hullo_media::session::TrackStats;
use hullo_proto::group::id::ParticipantId;
use hullo_proto::group::media_frame::Track;

use super::Dispatch;
use crate::call::diagnose::diagnose_group;
use crate::call::media::MediaSpecs;
use crate::event::{CallEvent, ParticipantChange};
use crate::group_call::driver::DriverEvent;
use crate::group_call::engine::Engine;
use crate::report::{AudioSummary, Flow, PersonFigures, Stats, Summary, VideoSummary};

/// From one look at who is heard to the next: a word lasts longer.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Dispatch {
    /// Looks at what changes without any message: who is heard, what the codecs count.
    pub(in super::super) fn look(&mut self, now: Instant, engine: &Engine) {
        self.check_microphone();
        let is_due = (self.looked_at).is_none_or(|at| now >= at + LOOK_EVERY);
        if !is_due || self.times.ended.is_some() {
            return;
        }
        self.looked_at = Some(now);
        self.count(engine);
        if let Some((media, _)) = self.media.as_ref().filter(|_| self.sound_watch.is_due(now)) {
            if self.captures.microphone {
                self.sound_watch.unmuted();
            }
            for event in self.sound_watch.look(now, media.heard()) {
                self.call(event);
            }
        }
    }

    /// What of everybody our loudspeaker plays when, each 20 ms at the most.
    pub(in super::super) fn sound_clocks(
        &mut self,
        now: Instant,
    ) -> Vec<(ParticipantId, Option<SoundClock>)> {
        let is_due = (self.clocks_told_at).is_none_or(|at| now >= at + BLOCK_TIME);
        let Some((media, _)) = self.media.as_ref().filter(|_| is_due) else {
            return Vec::new();
        };
        self.clocks_told_at = Some(now);
        let sounds = media.sounds().into_iter();
        sounds
            .map(|sound| (sound.participant, sound.clock))
            .collect()
    }

    fn count(&mut self, engine: &Engine) {
        let Some((media, card_times)) = &self.media else {
            return;
        };
        while let Ok((card, now)) = card_times.try_recv() {
            self.latency.note(card, now);
        }
        let changes = self.figures.hear(&media.sounds());
        self.figures.see(&media.watched());
        (self.figures).note(|id| (engine.epochs(Some(id)), engine.undecryptable(id)));
        self.epoch = engine.epochs(None);
        self.undecryptable = engine.undecryptable_in_all();
        let [_, camera, screen] = engine.frames_sent();
        self.pictures_sent.0 = camera + screen;
        for (id, speaks) in changes {
            self.person(id, ParticipantChange::Speaking(speaks));
        }
    }

    /// Each second.
    pub(super) fn stats(&mut self, stats: GroupSessionStats) {
        if let Some((media, _)) = &self.media {
            media.set_loss(stats.sent_loss.unwrap_or(0.0));
            for words in media.failures() {
                self.notice(&words);
            }
        }
        let microphone = stats.own.get(&OwnTrack::Microphone);
        let own = stats.own.iter();
        let pictures = own.filter(|(track, _)| track.track() != Track::Microphone);
        let of = |track: Track| stats.others.iter().filter(move |((_, of), _)| *of == track);
        self.figures.second(&stats.skew);
        let pictures_of = || {
            let others = stats.others.iter();
            let pictures = others.filter(|((_, of), _)| *of != Track::Microphone);
            pictures.map(|(_, track)| track)
        };
        let trouble = self.figures.trouble();
        let people = self.figures.people(false);
        let (width, height) = largest(&people);
        let asked = |track: &TrackStats| track.nacks_sent;
        let jitter_ticks = of(Track::Microphone).map(|(_, track)| track.jitter_ticks);
        // A microphone's clock has 48 kHz; without anybody's there is nothing to measure.
        let jitter_ms = jitter_ticks.max().map(|ticks| f64::from(ticks) / 48.0);
        let sending = self.media.as_ref().map(|(media, _)| media.sending());
        let (all, told) = self.pictures_sent;
        self.pictures_sent.1 = all;
        let mut report = Stats {
            sent: Flow {
                audio_frames: microphone.map_or(0, |track| track.frames_sent),
                // A picture in several layers counts once; each layer costs its bits.
                video_frames: all - told,
                video_bitrate_bps: pictures.map(|(_, track)| track.bytes_sent * 8).sum(),
                audio_bitrate_bps: microphone.map_or(0, |track| track.bytes_sent * 8),
                nacks: stats.own.values().map(|track| track.nacks_received).sum(),
                width: sending.map_or(0, |(_, size)| size.0),
                height: sending.map_or(0, |(_, size)| size.1),
                ..flow(stats.sent, stats.sent_loss)
            },
            received: Flow {
                audio_frames: of(Track::Microphone)
                    .map(|(_, track)| track.frames_received)
                    .sum(),
                video_frames: pictures_of().map(|track| track.frames_received).sum(),
                video_bitrate_bps: pictures_of().map(|track| track.bytes_received * 8).sum(),
                audio_bitrate_bps: of(Track::Microphone)
                    .map(|(_, track)| track.bytes_received * 8)
                    .sum(),
                jitter_ms,
                width,
                height,
                freezes: trouble.freezes,
                freeze_ms: trouble.freeze_ms,
                concealed_ms: trouble.concealed_ms,
                nacks: stats.others.values().map(asked).sum(),
                keyframe_requests: stats.keyframe_requests,
                ..flow(stats.received, stats.received_loss)
            },
            rtt_ms: stats.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
            estimate_bps: stats.estimate_bps,
            budget_bps: sending.map(|(bps, _)| bps),
            // The server's address is its own; ours is as we know it.
            pair: stats.has_way.then(|| "host/server".to_owned()),
            undecryptable: self.undecryptable,
            people,
            epoch: self.epoch,
            ..Stats::default()
        };
        report.words = diagnose_group(&report);
        self.call(CallEvent::Stats(Box::new(report)));
    }

    /// Closes the devices and tells the whole call in one object.
    pub(in super::super) fn finish(mut self, engine: &Engine) {
        self.count(engine);
        let elapsed =
            |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?));
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let people = self.figures.people(true);
        let [audio_sent, camera_sent, screen_sent] = engine.frames_sent();
        let trouble = self.figures.trouble();
        let captured = self.media.as_ref().map_or(0, |(media, _)| media.captured());
        let (width, height) = largest(&people);
        let summary = Summary {
            reason: self.reason.to_owned(),
            setup_ms: elapsed(self.times.begun, self.times.joined).map(millis),
            duration_ms: elapsed(self.times.joined, self.times.ended).map_or(0, millis),
            undecryptable: engine.undecryptable_in_all(),
            audio: AudioSummary {
                sent: audio_sent,
                received: people.iter().map(|person| person.audio_frames).sum(),
                concealed_ms: trouble.concealed_ms,
                // Mixed: everybody's at once.
                played_ms: people
                    .iter()
                    .map(|person| person.audio_ms)
                    .max()
                    .unwrap_or(0),
            },
            video: VideoSummary {
                captured,
                sent: camera_sent + screen_sent,
                received: people.iter().map(|person| person.video_frames).sum(),
                decoded: people.iter().map(|person| person.video_decoded).sum(),
                freezes: trouble.freezes,
                width,
                height,
            },
            latency_ms: self.latency.percentiles(),
            lip_sync_ms: self.figures.lip_sync(),
            people,
        };
        // Files are whole, and devices free, before the end is told.
        (self.media, self.specs) = (None, MediaSpecs::default());
        self.tell(DriverEvent::Finished(Box::new(summary)));
    }
}

/// What is known of all datagrams of a direction and a second.
fn flow((packets, bytes): (u64, u64), loss: Option<f32>) -> Flow {
    Flow {
        packets,
        bytes,
        bitrate_bps: bytes * 8,
        loss: loss.map(f64::from),
        ..Flow::default()
    }
}

/// The largest picture of anybody's camera, pixels across and down.
fn largest(people: &[PersonFigures]) -> (u32, u32) {
    let sizes = people.iter().map(|person| (person.width, person.height));
    sizes.max().unwrap_or_default()
}
