//! `hullo demo`: the stage is set, you are put on it, and what came of it is said.

use std::time::Duration;

use hullo_media::source::MicSpec;
use hullo_proto::group::group_call::MICROPHONE_OFF_FROM;

use super::{Face, Failure, OTHER, line_front, main_loop};
use crate::cli::Options;
use crate::demo::Demo;
use crate::demo::crowd::Crowd;
use crate::event::Media;
use crate::model::Mode;
use crate::report::Report;

/// A demo without a terminal ends after this.
const DEMO_TIME: Duration = Duration::from_secs(10);

/// With one friend, or with so many people in the call of a group.
pub(super) fn run(options: &Options, people: Option<u16>, face: Face) -> Result<u8, Failure> {
    let options = Options {
        counts_pictures: true,
        ..options.clone()
    };
    match people {
        None => one(&options, face),
        Some(people) => of_a_group(&options, people, face),
    }
}

fn one(options: &Options, face: Face) -> Result<u8, Failure> {
    let mut options = options.clone();
    if face == Face::Screen {
        let text = crate::text::FRIEND_STARTS.to_owned();
        let _ = line_front(Face::Plain).report(0, &Report::Notice { text });
    }
    let started = Demo::start().map_err(|error| Failure::of(&error, OTHER));
    let mut demo = started?;
    crate::demo::choose_devices(&mut options);
    let mode = Mode::CallOnce {
        name: crate::demo::FRIEND.to_owned(),
        media: Media::Video,
    };
    let seconds = options
        .seconds
        .or((face != Face::Screen).then_some(DEMO_TIME));
    let (status, summary) = main_loop(&options, demo.profile(), mode, face, seconds)?;
    if face == Face::Screen {
        return Ok(status);
    }
    let mine = summary.unwrap_or_default();
    let theirs = demo.friend_saw();
    let good = [
        mine.audio.received,
        mine.video.decoded,
        theirs.audio_received,
        theirs.video_decoded,
    ]
    .iter()
    .all(|count| *count > 0);
    let mut front = line_front(face);
    let text = format!(
        "You decoded {} pictures and got {} frames of sound; {} decoded {} pictures and got {} frames of sound.",
        mine.video.decoded,
        mine.audio.received,
        crate::demo::FRIEND,
        theirs.video_decoded,
        theirs.audio_received
    );
    let _ = front.report(0, &Report::Notice { text });
    Ok(if good { 0 } else { OTHER })
}

fn of_a_group(options: &Options, people: u16, face: Face) -> Result<u8, Failure> {
    let mut options = options.clone();
    let failed = |error| Failure::of(&error, OTHER);
    let mut lines = line_front(if face == Face::Json {
        face
    } else {
        Face::Plain
    });
    let tell = |words: &str| {
        let text = words.to_owned();
        // Whoever does not read this need not read anything.
        drop(lines.report(0, &Report::Notice { text }));
    };
    let mut crowd = Crowd::start(people, tell).map_err(failed)?;
    crowd.next_comes().map_err(failed)?;
    if face == Face::Screen {
        // They are seen as they come.
        crowd.rest_comes();
    } else {
        while crowd.next_comes().map_err(failed)? {}
    }
    crate::demo::choose_devices(&mut options);
    let mode = Mode::JoinOnce {
        name: crate::demo::crowd::GROUP.to_owned(),
        media: Media::Video,
    };
    let seconds = options
        .seconds
        .or((face != Face::Screen).then_some(DEMO_TIME));
    let (status, summary) = main_loop(&options, crowd.profile(), mode, face, seconds)?;
    if face == Face::Screen {
        return Ok(status);
    }
    let saw = crowd.saw();
    let summary = summary.unwrap_or_default();
    // Whoever comes into a full call begins muted: then nobody hears a word unless it is asked for.
    let has_no_mic = options.mic == Some(MicSpec::None);
    let is_muted = (saw.people >= MICROPHONE_OFF_FROM || has_no_mic) && summary.audio.sent == 0;
    let mine = summary.people;
    let heard = mine.iter().filter(|person| person.audio_frames > 0).count();
    let seen = mine
        .iter()
        .filter(|person| person.video_decoded > 0)
        .count();
    let text = format!(
        "You heard {heard} and saw {seen} of {} people; {} and {} saw you.",
        saw.people,
        if is_muted {
            "you were muted".to_owned()
        } else {
            format!("{} heard you", saw.heard)
        },
        saw.seen
    );
    let _ = line_front(face).report(0, &Report::Notice { text });
    let is_good =
        [heard, seen, saw.seen] == [saw.people; 3] && (is_muted || saw.heard == saw.people);
    Ok(if is_good { 0 } else { OTHER })
}
