//! How such a world goes on: whatever is due next, in order.

use std::time::Instant;

use hullo_media::group_session::Input as SessionInput;
use hullo_proto::group::group_call::Input;
use hullo_proto::group::media_frame::Track;
use hullo_proto::group::wire::{Device, View};
use hullo_sfu::forward::{Forwarder, Input as SfuInput, Output as SfuOutput};
use rand::RngExt;

use super::seat::Seat;
use super::{
    Datagram, GRAIN, PICTURE_INTERVAL, RATE_FPS, SOUND_INTERVAL, TRY_EVERY, World, sfu_address,
};

impl World {
    pub(super) fn act(&mut self) {
        let index = self.rng.random_range(0..self.people.len());
        let roll = self.rng.random_range(0..100);
        if self.people[index].seats.is_empty() {
            return self.join(index);
        }
        match roll {
            0..4 => self.leave(index, true),
            4..8 => self.leave(index, false),
            8..12 => self.join(index),
            12..16 => self.switch(index),
            16..46 => {
                let device = [Device::Microphone, Device::Camera][usize::from(roll % 2 == 0)];
                let on = self.rng.random_bool(0.6);
                self.input(index, Input::Capture(device, on));
            }
            46..54 => {
                let hold = self.rng.random_bool(0.4);
                self.input(index, Input::Hold(hold));
            }
            54..80 => {
                let size = [None, Some(0), Some(80), Some(160), Some(320)];
                let size = size[self.rng.random_range(0..size.len())];
                self.look(index, size);
            }
            _ => {}
        }
    }

    /// Shows everybody's camera so many pixels wide from now on; 0: at any size.
    pub(super) fn look(&mut self, index: usize, width: Option<u32>) {
        let now = self.now;
        let Some(seat) = self.people[index].seats.first_mut() else {
            return;
        };
        let view = width.map(|width| View {
            width,
            height: width * 9 / 16,
            fps: RATE_FPS,
        });
        seat.view = view.unwrap_or(seat.view);
        for id in seat
            .call
            .participants()
            .map(|entry| entry.id)
            .collect::<Vec<_>>()
        {
            seat.input(now, Input::ViewCamera(id, view));
        }
    }

    pub(super) fn run_until(&mut self, end: Instant) {
        while self.now < end {
            let mut next = end.min(self.sfu_deadline);
            for person in &self.people {
                for seat in &person.seats {
                    let own = seat.deadline().unwrap_or(end);
                    let lines = seat.up.poll_timeout().min(seat.down.poll_timeout());
                    next = next.min(own).min(lines);
                }
                if !person.seats.is_empty() {
                    next = next.min(person.next_sound).min(person.next_picture);
                }
            }
            self.now = next.max(self.now + GRAIN).min(end);
            self.step();
        }
    }

    pub(super) fn step(&mut self) {
        let now = self.now;
        for index in 0..self.people.len() {
            self.publish(index);
            for seat in &mut self.people[index].seats {
                seat.time_passes(now);
                deliver_up(seat, &mut self.forwarder, (now, now));
            }
        }
        if self.sfu_deadline <= now {
            self.forwarder.handle_input(now, SfuInput::Timeout);
        }
        self.drain_sfu();
        for index in 0..self.people.len() {
            for seat in 0..self.people[index].seats.len() {
                self.deliver_down(index, seat);
            }
        }
        self.check();
    }

    pub(super) fn publish(&mut self, index: usize) {
        let (now, since) = (self.now, self.now - self.start);
        let person = &mut self.people[index];
        let Some(seat) = person.seats.first_mut() else {
            return;
        };
        let mut sealed = Vec::new();
        if person.next_sound <= now {
            person.next_sound = now.max(person.next_sound + SOUND_INTERVAL);
            let said = seat.speak(now, since);
            self.counts.muted += u64::from(said.is_none() && (seat.muted || seat.on_hold));
            sealed.extend(said.map(|bytes| (Track::Microphone, bytes)));
        }
        if person.next_picture <= now {
            person.next_picture = now.max(person.next_picture + PICTURE_INTERVAL);
            sealed.extend(seat.show(now, since));
        }
        let from = seat.id;
        for (track, bytes) in sealed {
            self.frames += 1;
            if self.frames.is_multiple_of(TRY_EVERY) {
                self.try_on_others(index, from, track, &bytes);
            }
        }
    }

    pub(super) fn drain_sfu(&mut self) {
        loop {
            match self.forwarder.poll_output() {
                SfuOutput::Timeout(at) => {
                    self.sfu_deadline = at;
                    return;
                }
                SfuOutput::Transmit {
                    destination,
                    contents,
                } => {
                    let datagram = Datagram {
                        source: sfu_address(),
                        destination,
                        bytes: contents.as_ref().to_vec(),
                    };
                    let mut seats = self.people.iter_mut().flat_map(|person| &mut person.seats);
                    if let Some(seat) = seats.find(|seat| seat.address == destination) {
                        let packet = str0m_netem::Input::Packet(self.now, datagram);
                        seat.down.handle_input(packet);
                    }
                }
            }
        }
    }

    pub(super) fn deliver_down(&mut self, index: usize, seat_index: usize) {
        let now = self.now;
        let seat = &mut self.people[index].seats[seat_index];
        seat.down.handle_input(str0m_netem::Input::Timeout(now));
        while let Some(output) = seat.down.poll_output() {
            let str0m_netem::Output::Packet(datagram) = output else {
                break;
            };
            let input = SessionInput::Receive {
                source: datagram.source,
                destination: datagram.destination,
                bytes: &datagram.bytes,
            };
            seat.session(now, input);
        }
        let arrived = std::mem::take(&mut seat.arrived);
        for frame in arrived {
            let seat = &mut self.people[index].seats[seat_index];
            let Some(content) = seat.open((now, now - self.start), &frame) else {
                continue;
            };
            assert!(
                content.by == frame.participant.number() && content.is_of(frame.track),
                "seed {}: {content:?} came as {:?} of {}",
                self.seed,
                frame.track,
                frame.participant
            );
            self.note(index, &frame);
        }
        let seat = &mut self.people[index].seats[seat_index];
        if let Some(lips) = &mut seat.lips {
            lips.play(now);
        }
    }
}

/// Brings the SFU what is due at `until`.
pub(super) fn deliver_up(
    seat: &mut Seat,
    forwarder: &mut Forwarder,
    (now, until): (Instant, Instant),
) {
    seat.up.handle_input(str0m_netem::Input::Timeout(until));
    while let Some(output) = seat.up.poll_output() {
        let str0m_netem::Output::Packet(datagram) = output else {
            break;
        };
        let input = SfuInput::Datagram {
            source: datagram.source,
            bytes: &datagram.bytes,
        };
        forwarder.handle_input(now, input);
    }
}
