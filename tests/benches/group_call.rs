//! The call of a group, judged: eight real processes, their server, and everything that goes over the wire.
//!
//! `cargo bench -p hullo-tests --bench group_call`; docs/benchmarks.md says what is measured and how.

#[path = "group_call/forensics.rs"]
mod forensics;
#[path = "group_call/people.rs"]
mod people;
#[path = "group_call/wire.rs"]
mod wire;
#[path = "group_call/witness.rs"]
mod witness;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use forensics::{Runs, find_media_key, memory_of};
use hullo_media::source::CaptureTime;
use hullo_media::source::card::{HEIGHT, TestCard, WIDTH};
use hullo_tests::bench::program::now;
use hullo_tests::bench::tools::build_release;
use hullo_tests::bench::verdict::{Bar, Point, Verdict, table};
use hullo_tests::bench::y4m::{Shape, write_header, write_picture};
use people::{Got, Person, Stage};
use serde_json::json;
use witness::Witness;

const SHAPE: Shape = Shape {
    width: 320,
    height: 180,
    rate_fps: 15,
};
/// Length of the clip, which is looped.
const CLIP_S: u32 = 8;
/// Length of the call when `HULLO_BENCH_SECONDS` does not say another.
const CALL_S: u64 = 60;
/// Everything on the wire is kept for so long, in the middle of the call.
const KEPT: Duration = Duration::from_secs(10);
/// A roster may know somebody who was killed so long (the server waits 30 s for a sign of life).
const LEAVES_MS_MAX: f64 = 35_000.0;
/// Each is listened to so long before the next has its turn.
const TURN: Duration = Duration::from_millis(10);
/// A step that needs everybody.
const STEP: Duration = Duration::from_secs(60);

const PEOPLE: [&str; 8] = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal"];
const WITNESS: &str = "witness";

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too; a judgement of unoptimised code is none.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("group_call runs under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("group_call: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Nobody reads any more: nothing to tell them.
    let _closed = writeln!(io::stdout(), "{text}");
}

fn run() -> Result<bool, Failure> {
    let (hullo, target) = program()?;
    let folder = tempfile::tempdir_in(&target)?;
    let seconds = match std::env::var("HULLO_BENCH_SECONDS") {
        Ok(text) => text
            .parse()
            .map_err(|_| "HULLO_BENCH_SECONDS is no number of seconds")?,
        Err(_) => CALL_S,
    };
    let clip = folder.path().join("card.y4m");
    write_card(&clip)?;
    say("a server, and nine members of one group");
    let stage = Stage::set(&hullo, folder.path())?;
    let members: Vec<&str> = PEOPLE.into_iter().chain([WITNESS]).collect();
    stage.make_group(&members)?;
    say("eight of them join, and the witness");
    let mut people = Vec::new();
    for name in PEOPLE {
        people.push(stage.enter(name, &clip)?);
    }
    let witness = Witness::join(&stage.profile(WITNESS))?;
    // Everybody but oneself, and the witness.
    wait_for_roster(&mut people, PEOPLE.len())?;
    say(&format!("{seconds} s of pictures and sound"));
    let mut points = talk(&stage, &mut people, Duration::from_secs(seconds))?;
    say("looking for keys and frames where they must not be");
    points.extend(search(&stage, &people, &witness)?);
    say("one is killed, and comes back");
    points.extend(kill_one(&stage, &mut people, &clip)?);
    say(&table(&points));
    say(&format!(
        "{} datagrams went over the wire",
        stage.wire.datagrams()
    ));
    let path = target.join("group_call.json");
    std::fs::write(
        &path,
        serde_json::to_string_pretty(&json!({ "points": points }))?,
    )?;
    say(&format!("everything measured: {}", path.display()));
    Ok(points.iter().all(|point| point.verdict != Verdict::Fail))
}

fn program() -> Result<(PathBuf, PathBuf), Failure> {
    let own = std::env::current_exe()?;
    // target/PROFILE/deps/group_call-…
    let target = own
        .ancestors()
        .nth(3)
        .ok_or("the benchmark runs outside a target folder")?;
    let hullo = match std::env::var_os("HULLO_BIN") {
        Some(given) => PathBuf::from(given),
        None => {
            say("building hullo");
            build_release(&["-p", "hullo"])?;
            target.join("release").join("hullo")
        }
    };
    Ok((hullo, target.to_owned()))
}

/// The test card at half its size and half its rate.
fn write_card(path: &Path) -> Result<(), Failure> {
    let mut out = BufWriter::new(File::create(path)?);
    write_header(&mut out, SHAPE)?;
    let mut card = TestCard::new();
    for number in 0..CLIP_S * SHAPE.rate_fps {
        let elapsed = Duration::from_secs(1) / SHAPE.rate_fps * number;
        let clock_us = u64::try_from(elapsed.as_micros())?;
        let picture = card.picture(CaptureTime { elapsed, clock_us })?;
        let half = |plane: &[u8], width: u32, height: u32| -> Vec<u8> {
            let rows = (0..height as usize).step_by(2);
            let row = |row: usize| (0..width as usize).step_by(2).map(move |x| (row, x));
            rows.flat_map(row)
                .map(|(row, x)| plane[row * width as usize + x])
                .collect()
        };
        let mut chroma = half(&picture.u, WIDTH / 2, HEIGHT / 2);
        chroma.extend(half(&picture.v, WIDTH / 2, HEIGHT / 2));
        write_picture(&mut out, &half(&picture.y, WIDTH, HEIGHT), &chroma)?;
    }
    Ok(out.flush()?)
}

fn wait_for_roster(people: &mut [Person], others: usize) -> Result<(), Failure> {
    let end = now() + STEP;
    for person in people {
        let name = person.name.clone();
        person
            .until(end, |event| {
                let people = event["people"].as_array();
                event["event"] == "stats" && people.is_some_and(|people| people.len() == others)
            })
            .ok_or_else(|| format!("{name} never had {others} others in the call"))?;
    }
    Ok(())
}

/// Reads what everybody says until `end`, so that nobody waits for a full pipe.
fn read_until(people: &mut [Person], end: Instant) {
    while now() < end {
        for person in people.iter_mut() {
            person.read_until(end.min(now() + TURN));
        }
    }
}

fn talk(stage: &Stage, people: &mut [Person], length: Duration) -> Result<Vec<Point>, Failure> {
    let (sent, got) = (sent_of(people), got_of(people));
    for person in people.iter_mut() {
        person.write("video on");
    }
    let middle = length.saturating_sub(KEPT) / 2;
    read_until(people, now() + middle);
    stage.wire.keep(true);
    read_until(people, now() + KEPT.min(length));
    stage.wire.keep(false);
    read_until(people, now() + length.saturating_sub(middle + KEPT));
    for person in people.iter_mut() {
        person.write("video off");
    }
    // What is under way arrives, and is in the figures of a whole second.
    read_until(people, now() + Duration::from_secs(4));
    let (sent_after, got_after) = (sent_of(people), got_of(people));
    let (mut pictures, mut sound) = (Vec::new(), Vec::new());
    let pairs = got.iter().flatten().zip(got_after.iter().flatten());
    for ((from, to, before), (_, _, after)) in pairs {
        let share = |got: u64, sent: u64| (sent > 0).then(|| 100.0 * got as f64 / sent as f64);
        let left = (sent_after[*from], sent[*from]);
        let seen = share(
            after.decoded - before.decoded,
            left.0.decoded - left.1.decoded,
        );
        let heard = share(after.audio - before.audio, left.0.audio - left.1.audio);
        let name = format!("{}>{}", PEOPLE[*from], PEOPLE[*to]);
        pictures.push((name.clone(), seen));
        sound.push((name, heard));
    }
    let least = sent_after
        .iter()
        .zip(&sent)
        .map(|(after, before)| after.decoded - before.decoded);
    let least = least.min().unwrap_or(0) as f64 / length.as_secs_f64();
    let unopened: u64 = people.iter().map(Person::undecryptable).sum();
    Ok(vec![
        judge(
            "pictures decoded of those sent",
            "%",
            Bar::AtLeast(95.0),
            &pictures,
        ),
        judge(
            "sound received of that sent",
            "%",
            Bar::AtLeast(95.0),
            &sound,
        ),
        Point::judge(
            "pictures sent by each",
            "/s",
            Bar::AtLeast(14.0),
            &[("least", Some(least))],
        ),
        Point::judge(
            "frames that did not open",
            "",
            Bar::AtMost(0.0),
            &[("all", Some(unopened as f64))],
        ),
    ])
}

fn judge(what: &str, unit: &'static str, bar: Bar, sides: &[(String, Option<f64>)]) -> Point {
    let mut sorted: Vec<_> = sides
        .iter()
        .map(|(name, figure)| (name.as_str(), *figure))
        .collect();
    sorted.sort_by(|(_, a), (_, b)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    if matches!(bar, Bar::AtMost(_)) {
        sorted.reverse();
    }
    let mut point = Point::judge(what, unit, bar, &sorted);
    let worst = Point::judge(what, unit, bar, &sorted[..sorted.len().min(3)]);
    point.note = format!("of {}; worst {}", sides.len(), worst.note);
    point
}

fn sent_of(people: &[Person]) -> Vec<Got> {
    people.iter().map(Person::sent).collect()
}

/// From whom, to whom, what.
fn got_of(people: &[Person]) -> Vec<Vec<(usize, usize, Got)>> {
    let to = people.iter().enumerate();
    to.map(|(to, person)| {
        let from = (0..people.len()).filter(|from| *from != to);
        from.map(|from| (from, to, person.got(PEOPLE[from])))
            .collect()
    })
    .collect()
}

/// What only members have, as runs to look for, and whether the search finds what is there.
struct Secrets {
    keys: Runs,
    frames: Runs,
    /// Senders whose media key was found in their own memory.
    found: usize,
    /// Of these, those whose key was found there by its runs as well.
    control: usize,
}

fn secrets(people: &[Person], witness: &Witness) -> Result<Secrets, Failure> {
    let (heard, hash) = (witness.heard(), witness.key_hash());
    let mut secrets = Secrets {
        keys: Runs::default(),
        frames: Runs::default(),
        found: 0,
        control: 0,
    };
    secrets.keys.add(&witness.key);
    for person in people {
        let frames = heard.get(&person.name);
        let Some(newest) = frames.and_then(|frames| frames.back()) else {
            continue;
        };
        let memory = memory_of(person.process())?;
        if let Some(key) = find_media_key(&memory, &hash, newest.track, &newest.sealed) {
            let mut own = Runs::default();
            own.add(&key);
            let is_there = memory.iter().any(|mapping| own.count_in(mapping) > 0);
            secrets.found += 1;
            secrets.control += usize::from(is_there);
            secrets.keys.add(&key);
        }
        for frame in frames.into_iter().flatten() {
            secrets.frames.add(&frame.opened);
        }
    }
    Ok(secrets)
}

/// Nothing of what only members have is with the server, or went over the wire.
fn search(stage: &Stage, people: &[Person], witness: &Witness) -> Result<Vec<Point>, Failure> {
    let Secrets {
        keys,
        frames,
        found,
        control,
    } = secrets(people, witness)?;
    let server = memory_of(stage.server())?;
    let wire = stage.wire.kept();
    let in_server = |runs: &Runs| {
        let places = server.iter().map(|mapping| runs.count_in(mapping));
        places.sum::<usize>()
    };
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let memory = megabytes(server.iter().map(Vec::len).sum());
    let nowhere = |what: &str, runs: &Runs, places: usize| {
        let sides = [("places", Some(places as f64))];
        let mut point = Point::judge(what, "", Bar::AtMost(0.0), &sides);
        point.note = format!("{} runs of 16 bytes looked for", runs.len());
        point
    };
    let all = |what: &str, count: usize| {
        let bar = Bar::AtLeast(people.len() as f64);
        Point::judge(what, "", bar, &[("keys", Some(count as f64))])
    };
    let size = |what: &str, megabytes: f64| {
        Point::judge(
            what,
            "MB",
            Bar::AtLeast(1.0),
            &[("in all", Some(megabytes))],
        )
    };
    Ok(vec![
        all("media keys found at their senders", found),
        all("of these, found there again by their runs", control),
        size("memory of the server looked through", memory),
        size("wire looked through", megabytes(wire.len())),
        nowhere("keys in the server's memory", &keys, in_server(&keys)),
        nowhere("keys on the wire", &keys, keys.count_in(&wire)),
        nowhere(
            "encoded frames in the server's memory",
            &frames,
            in_server(&frames),
        ),
        nowhere(
            "encoded frames on the wire",
            &frames,
            frames.count_in(&wire),
        ),
    ])
}

fn kill_one(stage: &Stage, people: &mut Vec<Person>, clip: &Path) -> Result<Vec<Point>, Failure> {
    read_until(people, now() + Duration::from_secs(1));
    let before: Vec<_> = people.iter().map(|person| person.epochs().0).collect();
    let killed = people.pop().ok_or("nobody is there")?;
    let name = killed.name.clone();
    let killed_at = now();
    // SIGKILL: nothing is said, nothing is closed.
    drop(killed);
    let mut gone = Vec::new();
    for person in people.iter_mut() {
        let left = person.until(killed_at + STEP, |event| {
            event["event"] == "participant"
                && event["change"] == "left"
                && event["name"] == name.as_str()
        });
        let after_ms =
            left.map(|_| now().saturating_duration_since(killed_at).as_secs_f64() * 1_000.0);
        gone.push((person.name.clone(), after_ms));
    }
    // New keys are used two seconds after they were told.
    read_until(people, now() + Duration::from_secs(5));
    let is_anew = |(person, before): (&Person, &Option<u64>)| {
        let (own, theirs) = person.epochs();
        own.is_some() && own != *before && theirs.iter().flatten().any(|epoch| *epoch > 0)
    };
    let anew = people
        .iter()
        .zip(&before)
        .filter(|pair| is_anew(*pair))
        .count();
    let everyone = people.len() as f64;
    people.push(stage.enter(&name, clip)?);
    // The witness is on the roster too.
    wait_for_roster(people, PEOPLE.len())?;
    for person in people.iter_mut() {
        person.write("video on");
    }
    let (sent, got) = (sent_of(people), got_of(people));
    read_until(people, now() + Duration::from_secs(8));
    let got_after = got_of(people);
    let pairs = got.iter().flatten().zip(got_after.iter().flatten());
    let with_pictures =
        pairs.filter(|((.., a), (.., b))| b.decoded > a.decoded && b.audio > a.audio);
    let pairs_seen = with_pictures.count() as f64;
    let all_pairs = (sent.len() * (sent.len() - 1)) as f64;
    let unopened: u64 = people.iter().map(Person::undecryptable).sum();
    Ok(vec![
        judge(
            "who was killed leaves the rosters",
            "ms",
            Bar::AtMost(LEAVES_MS_MAX),
            &gone,
        ),
        Point::judge(
            "who made a new key then",
            "",
            Bar::AtLeast(everyone),
            &[("people", Some(anew as f64))],
        ),
        Point::judge(
            "pairs with pictures and sound after the return",
            "",
            Bar::AtLeast(all_pairs),
            &[("pairs", Some(pairs_seen))],
        ),
        Point::judge(
            "frames that did not open, in the end",
            "",
            Bar::AtMost(0.0),
            &[("all", Some(unopened as f64))],
        ),
    ])
}
