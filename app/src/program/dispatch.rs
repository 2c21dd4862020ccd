//! From the command to what does it.

use std::path::Path;

use super::{Face, Failure, OTHER, config, demo, line_front, main_loop, setup};
use crate::cli::{Action, Cli, Options};
use crate::config::Chosen;
use crate::event::Media;
use crate::front::Front;
use crate::model::Mode;
use crate::profile;
use crate::report::Report;
use crate::serve::{self, Wanted};
use crate::small::Small;

/// Does it; the exit status.
pub(super) fn dispatch(cli: Cli, face: Face) -> Result<u8, Failure> {
    let Cli { action, options } = cli;
    // These need no profile, and packages are built where there is no home.
    match &action {
        Some(Action::Completions { shell }) => return written(&crate::manual::completions(*shell)),
        Some(Action::Man) => return written(&crate::manual::page()?),
        _ => {}
    }
    let folder = profile::folder(options.profile.clone())?;
    let media = |video: bool| if video { Media::Video } else { Media::Audio };
    let run = |mode: Mode| {
        main_loop(&options, folder.clone(), mode, face, options.seconds).map(|(status, _)| status)
    };
    let small = |small: Small| errand(small, &folder, &options, face);
    match action {
        None => run(Mode::Screen),
        Some(Action::Call { name, video }) => run(Mode::CallOnce {
            name,
            media: media(video),
        }),
        Some(Action::Join { group: name, video }) => {
            let media = media(video);
            run(Mode::JoinOnce { name, media })
        }
        Some(Action::Answer { name, video }) => run(Mode::AnswerOnce {
            name,
            media: media(video),
        }),
        Some(Action::Demo { people }) => demo::run(&options, people, face),
        Some(Action::Mirror) => mirror(&options, &folder, face),
        Some(Action::Test) => setup::sound_test(&options, &folder, face),
        Some(Action::Doctor) => crate::doctor::run(&options, &folder, &mut *line_front(face)),
        Some(Action::Serve {
            listen,
            announce,
            relay,
            calls,
        }) => {
            let wanted = Wanted {
                listen,
                announce,
                relay,
                calls,
                seconds: options.seconds,
                until_input_ends: options.until_input_ends,
            };
            serve::run(wanted, folder.clone(), &mut *line_front(face))
        }
        Some(Action::Name { name }) => small(Small::Name(name)),
        Some(Action::Invite { list: true, .. }) => small(Small::Links),
        Some(Action::Invite { withdraw: true, .. }) => small(Small::Withdraw),
        Some(Action::Invite { wait, .. }) => small(Small::Invite { wait }),
        Some(Action::Add { link }) => small(Small::Add(link.join(" "))),
        Some(Action::Group { action }) => small(Small::Group(action.into())),
        Some(Action::Contacts { change }) => small(Small::of(change)),
        Some(Action::History { name, limit }) => small(Small::History {
            name,
            limit,
            marks_seen: face != Face::Json,
        }),
        Some(Action::Send { name, text }) => small(Small::Send { name, text }),
        Some(Action::Backup { file }) => {
            crate::backup::back_up(&folder, &file, &mut *line_front(face)).map(|()| 0)
        }
        Some(Action::Restore { file, .. }) => {
            crate::backup::restore(&folder, file.as_deref(), &mut *line_front(face)).map(|()| 0)
        }
        Some(Action::Config { action }) => config::run(action, &folder, face),
        // Done above.
        Some(Action::Completions { .. } | Action::Man) => Ok(0),
        Some(Action::Ctl { command }) => small(Small::Ctl(crate::command::line(&command))),
    }
}

/// Writes a text to stdout.
fn written(text: &[u8]) -> Result<u8, Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // A pager that was left has read enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::of(&error, OTHER))
        }
        _ => Ok(0),
    }
}

fn mirror(options: &Options, folder: &Path, face: Face) -> Result<u8, Failure> {
    let (config, broken) = crate::config::read(&crate::config::path(folder));
    let mut front = line_front(face);
    if let Some(broken) = broken {
        let text = crate::people::sentence(&broken.to_string());
        front
            .report(0, &Report::Notice { text })
            .map_err(|_| Failure::other("Nobody reads the output."))?;
    }
    let chosen = Chosen {
        of_file: config.screen,
        flags: options.drawing,
    };
    crate::mirror::run(options, face == Face::Screen, chosen, &mut *front)
}

fn errand(small: Small, folder: &Path, options: &Options, face: Face) -> Result<u8, Failure> {
    let (server, seconds) = (options.server.as_deref(), options.seconds);
    // Whoever reads JSON sees an empty list in what does not come.
    let tells_none = face != Face::Json && matches!(small, Small::Contacts);
    let mut front = Counted {
        front: line_front(face),
        reports: 0,
    };
    small.run(folder, server, seconds, &mut front)?;
    if tells_none && front.reports == 0 {
        let text = crate::text::NOBODY_YET.to_owned();
        // It is done, whether or not somebody still reads.
        drop(front.report(0, &Report::Notice { text }));
    }
    Ok(0)
}

/// Knows whether anything was told.
struct Counted {
    front: Box<dyn Front>,
    reports: usize,
}

impl Front for Counted {
    fn report(&mut self, at_ms: u64, report: &Report) -> std::io::Result<()> {
        self.reports += 1;
        self.front.report(at_ms, report)
    }

    fn value(&mut self, report: &serde_json::Value, words: Option<&str>) -> std::io::Result<()> {
        self.reports += 1;
        self.front.value(report, words)
    }

    fn picture(&mut self, lines: &[String]) -> std::io::Result<()> {
        self.front.picture(lines)
    }
}
