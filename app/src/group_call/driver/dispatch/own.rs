//! Our own devices: what the user wants, what the call announces, and the devices brought in line with both.

use hullo_media::device::DeviceError;
use hullo_media::source::VideoSource;
use hullo_proto::group::wire::{Capture, Device};

use super::super::Command;
use super::{Dispatch, Input};
use crate::call::media::{MediaSpecs, Opened, open_in_background};
use crate::event::{CallEvent, Feed};
use crate::group_call::media::{GroupMedia, no_source};
use crate::text;

const FEEDS: [Feed; 2] = [Feed::Camera, Feed::Screen];

impl Dispatch {
    /// The call begins: devices may take a second, so they are opened while it connects.
    pub(in super::super) fn begin(&mut self) {
        self.times.begun.get_or_insert_with(hullo_media::clock::now);
        self.open_devices();
        self.tell_own();
    }

    /// Applies a switch; what the engine must be told.
    pub(in super::super) fn switch(&mut self, command: Command) -> Vec<Input<'static>> {
        let inputs = match command {
            Command::Muted(false) if self.specs.has_no_mic() => {
                self.notice(text::NO_MIC_CHOSEN);
                Vec::new()
            }
            Command::Muted(muted) => {
                self.wishes.muted = muted;
                vec![Input::Capture(Device::Microphone, !muted)]
            }
            Command::Send(Feed::Screen, true) if self.specs.screen.is_none() => {
                self.notice(text::NO_SCREEN_NAMED);
                Vec::new()
            }
            Command::Send(feed, on) => self.send(feed, on),
            Command::Source(feed, source) => self.take_source(feed, source),
            Command::Hold(hold) => self.hold(hold),
            Command::Volume(id, volume) => {
                self.loudness.set(id, volume);
                if let Some((media, _)) = &self.media {
                    media.set_volume(id, volume);
                }
                return Vec::new();
            }
            Command::Opened(opened) => {
                self.take_devices(*opened);
                // The screen was asked for from the first moment on.
                let wants_screen = self.wishes.screen && !self.captures.screen;
                wants_screen
                    .then_some(Input::Capture(Device::Screen, true))
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        };
        self.apply_own();
        inputs
    }

    fn send(&mut self, feed: Feed, on: bool) -> Vec<Input<'static>> {
        let (wish, device) = match feed {
            Feed::Camera => (&mut self.wishes.camera, Device::Camera),
            Feed::Screen => (&mut self.wishes.screen, Device::Screen),
        };
        *wish = on;
        vec![Input::Capture(device, on)]
    }

    /// On hold the devices are closed, for they belong to the call one is in; afterwards they are opened again.
    fn hold(&mut self, hold: bool) -> Vec<Input<'static>> {
        if std::mem::replace(&mut self.wishes.hold, hold) == hold {
            return Vec::new();
        }
        if hold {
            if let Some((media, _)) = &mut self.media {
                media.release();
            }
            return vec![Input::Hold(true)];
        }
        self.open_devices();
        vec![
            Input::Hold(false),
            Input::Capture(Device::Microphone, !self.wishes.muted),
            Input::Capture(Device::Camera, self.wishes.camera),
        ]
    }

    pub(super) fn open_devices(&mut self) {
        if self.wishes.hold || std::mem::replace(&mut self.is_opening, true) {
            return;
        }
        let commands = self.commands.clone();
        // Recordings are made here, a file for each person.
        let specs = MediaSpecs {
            record_video: None,
            ..self.specs.clone()
        };
        let is_first = self.media.is_none();
        open_in_background(specs, self.devices.clone(), is_first, move |opened| {
            commands.send(Command::Opened(Box::new(opened)));
        });
    }

    fn take_devices(&mut self, opened: Opened) {
        self.is_opening = false;
        for notice in &opened.notices {
            self.notice(notice);
        }
        // Put on hold while they were being opened: they go to whichever call wants them.
        if self.times.ended.is_some() || self.wishes.hold {
            return;
        }
        let is_muted = !self.captures.microphone;
        match &mut self.media {
            Some((media, _)) => media.resume(opened, is_muted),
            None => {
                let commands = self.commands.clone();
                let wants_keyframe = move |of| commands.send(Command::WantKeyframe(of));
                self.media = Some(GroupMedia::start(
                    self.specs.clone(),
                    opened,
                    self.queue.clone(),
                    self.pictures.clone(),
                    is_muted,
                    wants_keyframe,
                ));
            }
        }
        if let Some((media, _)) = &self.media {
            self.loudness.tell(media);
        }
    }

    fn take_source(
        &mut self,
        feed: Feed,
        source: Result<Option<Box<dyn VideoSource>>, DeviceError>,
    ) -> Vec<Input<'static>> {
        let Some((media, _)) = &mut self.media else {
            return Vec::new();
        };
        let words = match source {
            Ok(Some(source)) => {
                media.start_source(feed, source);
                return Vec::new();
            }
            Ok(None) => no_source(feed),
            Err(error) => text::source_failed(feed, &error.to_string()),
        };
        media.close_source(feed);
        self.notice(&words);
        self.send(feed, false)
    }

    /// The call announced what a device of ours does.
    pub(super) fn own_capture(&mut self, capture: Capture) {
        match capture {
            Capture::Microphone(on) => {
                self.captures.microphone = on;
                if !self.wishes.hold {
                    self.wishes.muted = !on;
                }
            }
            Capture::Camera(on) => self.captures.camera = on,
            Capture::Screen(since) => self.captures.screen = since.is_some(),
        }
        self.apply_own();
    }

    /// Brings the devices in line with what the call says we send.
    pub(super) fn apply_own(&mut self) {
        let captures = self.captures;
        let is_joined = self.times.joined.is_some() && self.times.ended.is_none();
        if let Some((media, _)) = &mut self.media {
            media.set_muted(!captures.microphone);
            for feed in FEEDS {
                let is_on = match feed {
                    Feed::Camera => captures.camera,
                    Feed::Screen => captures.screen,
                };
                // Pictures taken before they can leave are taken for nothing.
                let is_wanted = is_on && is_joined && media.has_devices();
                if !is_wanted && media.is_on(feed) {
                    media.close_source(feed);
                } else if is_wanted && !media.is_on(feed) {
                    let commands = self.commands.clone();
                    media.open_source(feed, move |source| {
                        commands.send(Command::Source(feed, source));
                    });
                }
            }
        }
        self.tell_own();
    }

    pub(super) fn tell_own(&self) {
        self.call(CallEvent::Own {
            mic_muted: self.wishes.muted,
            camera_on: self.wishes.camera,
            on_hold: self.wishes.hold,
        });
        self.call(CallEvent::OwnScreen(self.captures.screen));
        if !self.captures.camera {
            self.call(CallEvent::OwnPicture(None));
        }
    }
}
