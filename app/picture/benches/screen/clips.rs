//! The clips: ten seconds each, 640x360, the same on every machine.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::quality::{POINTS, Rgb};
use crate::{COLUMNS, RATE, ROWS};

/// Pixels across.
pub(crate) const WIDTH: usize = 640;
/// Pixels down.
pub(crate) const HEIGHT: usize = 360;
/// Pictures of a clip.
const PICTURES: usize = 10 * RATE;

/// A clip as file, as decoded, and as the best a screen could show.
pub(crate) struct Clip {
    pub(crate) path: PathBuf,
    /// Planar 4:2:0.
    pub(crate) pictures: Vec<Vec<u8>>,
    /// At the points of the grid.
    pub(crate) source: Vec<Vec<Rgb>>,
}

/// Decoded by a call's codec at a call's rate.
pub(crate) fn call() -> Clip {
    let talk = talk(true).path;
    let path = file("call.mp4", |path| {
        let squeezed = path.with_extension("webm");
        ffmpeg(&[
            "-i",
            text(&talk),
            "-c:v",
            "libvpx",
            "-b:v",
            "500k",
            "-deadline",
            "realtime",
            "-cpu-used",
            "6",
            "-g",
            "3000",
            text(&squeezed),
        ]);
        ffmpeg(&[&["-i", text(&squeezed)], CODING, &[text(path)]].concat());
    });
    decode(path)
}

/// A test card and a fractal, five seconds each.
pub(crate) fn stress() -> Clip {
    let path = file("stress.mp4", |path| {
        let (card, fractal) = ("testsrc2=s=640x360:r=30:d=5", "mandelbrot=s=640x360:r=30");
        let join = "[1]trim=duration=5,setpts=PTS-STARTPTS,format=yuv420p[b];[0]format=yuv420p[a];[a][b]concat=n=2:v=1";
        let inputs = [
            "-f",
            "lavfi",
            "-i",
            card,
            "-f",
            "lavfi",
            "-i",
            fractal,
            "-filter_complex",
            join,
            "-r",
            "30",
        ];
        ffmpeg(&[&inputs, CODING, &[text(path)]].concat());
    });
    decode(path)
}

/// Somebody who talks and moves before a shelf and a window, with a sensor's noise; or the room without anybody.
pub(crate) fn talk(somebody: bool) -> Clip {
    let path = file(if somebody { "talk.mp4" } else { "still.mp4" }, |path| {
        let raw = [
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "640x360", "-r", "30", "-i", "-",
        ];
        let mut encoder = Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args([&raw, CODING, &[text(path)]].concat())
            .stdin(Stdio::piped())
            .spawn()
            .expect("ffmpeg: install it");
        let mut input = encoder.stdin.take().expect("it is piped");
        let mut noise = Noise(7);
        let room = room(&mut noise);
        for picture in 0..PICTURES {
            let drawn = draw(
                &room,
                somebody.then_some(picture as f32 / RATE as f32),
                &mut noise,
            );
            input.write_all(&drawn).expect("ffmpeg takes all");
        }
        drop(input);
        assert!(encoder.wait().expect("it was started").success());
    });
    decode(path)
}

const CODING: &[&str] = &[
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-pix_fmt", "yuv420p", "-g", "60",
];

/// A file in the target folder, made when it is not there.
fn file(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let path = folder.join(name);
    if !path.exists() {
        let part = folder.join(format!("part-{name}"));
        make(&part);
        fs::rename(&part, &path).expect("it was just made");
    }
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the target folder's name is text")
}

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .output();
    let output = output.expect("ffmpeg: install it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn decode(path: PathBuf) -> Clip {
    let planes = ffmpeg(&[
        "-i",
        text(&path),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        "-",
    ]);
    let (width, height) = (
        usize::from(COLUMNS) * POINTS.0,
        usize::from(ROWS) * POINTS.1,
    );
    let scale = format!("scale={width}:{height}:flags=area+accurate_rnd+full_chroma_int");
    let points = ffmpeg(&[
        "-i",
        text(&path),
        "-vf",
        &scale,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]);
    let pictures = planes
        .chunks_exact(WIDTH * HEIGHT * 3 / 2)
        .map(<[u8]>::to_vec);
    let source = points
        .chunks_exact(width * height * 3)
        .map(|picture| picture.as_chunks().0.to_vec());
    Clip {
        pictures: pictures.collect(),
        source: source.collect(),
        path,
    }
}

/// A stream of odd numbers, the same everywhere.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal, deviation one: four uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.uniform() - 0.5).sum::<f32>() * 3f32.sqrt()
    }
}

type Colour = [f32; 3];

/// A wall with texture, two shelves of books, a window.
fn room(noise: &mut Noise) -> Vec<Colour> {
    let texture = [60.0, 14.0].map(|size| smooth(noise, size));
    let stains = texture[0].iter().zip(&texture[1]);
    let mut room: Vec<Colour> = stains
        .enumerate()
        .map(|(at, (large, small))| {
            let (x, y) = ((at % WIDTH) as f32, (at / WIDTH) as f32);
            let wall = 150.0 - 0.1 * x + 0.06 * y;
            [0.95, 0.9, 0.8].map(|share| wall * share + large * 8.0 + small * 3.0)
        })
        .collect();
    let mut fill = |x: usize, y: usize, width: usize, height: usize, colour: Colour| {
        for row in y..y + height {
            room[row * WIDTH + x..][..width].fill(colour);
        }
    };
    for shelf in [30, 120] {
        let mut x = 20;
        while x < 210 {
            let (width, height) = (
                7 + (noise.uniform() * 11.0) as usize,
                50 + (noise.uniform() * 28.0) as usize,
            );
            let colour = [0; 3].map(|_: u8| 30.0 + noise.uniform() * 170.0);
            fill(x, shelf + 80 - height, width, height, colour);
            fill(
                x,
                shelf + 80 - height,
                1,
                height,
                colour.map(|level| level * 0.5),
            );
            x += width + 1;
        }
        fill(15, shelf + 80, 200, 6, [90.0, 60.0, 35.0]);
    }
    fill(470, 40, 140, 130, [215.0, 225.0, 240.0]);
    fill(536, 40, 6, 130, [120.0, 110.0, 100.0]);
    fill(470, 102, 140, 5, [120.0, 110.0, 100.0]);
    room
}

/// Noise without anything finer than `size` pixels.
fn smooth(noise: &mut Noise, size: f32) -> Vec<f32> {
    let (columns, rows) = (
        (WIDTH as f32 / size) as usize + 2,
        (HEIGHT as f32 / size) as usize + 2,
    );
    let knots: Vec<f32> = (0..columns * rows).map(|_| noise.normal()).collect();
    let ease = |part: f32| part * part * (3.0 - 2.0 * part);
    let value = |at: usize| {
        let (x, y) = ((at % WIDTH) as f32 / size, (at / WIDTH) as f32 / size);
        let knot = |dx: usize, dy: usize| knots[(y as usize + dy) * columns + x as usize + dx];
        let (across, down) = (ease(x.fract()), ease(y.fract()));
        let upper = knot(0, 0) * (1.0 - across) + knot(1, 0) * across;
        let lower = knot(0, 1) * (1.0 - across) + knot(1, 1) * across;
        upper * (1.0 - down) + lower * down
    };
    (0..WIDTH * HEIGHT).map(value).collect()
}

/// An ellipse with a soft edge: middle, half axes, width of the edge.
fn ellipse(
    picture: &mut [Colour],
    (cx, cy): (f32, f32),
    (rx, ry): (f32, f32),
    edge: f32,
    colour: impl Fn(f32, f32) -> Colour,
) {
    let rows = (cy - ry - 3.0).max(0.0) as usize..((cy + ry + 4.0).max(0.0) as usize).min(HEIGHT);
    for y in rows {
        for x in (cx - rx - 3.0).max(0.0) as usize..((cx + rx + 4.0).max(0.0) as usize).min(WIDTH) {
            let (dx, dy) = ((x as f32 - cx) / rx, (y as f32 - cy) / ry);
            let outside = ((dx * dx + dy * dy).sqrt() - 1.0) * rx.min(ry);
            let share = (0.5 - outside / edge).clamp(0.0, 1.0);
            let pixel = &mut picture[y * WIDTH + x];
            for (level, new) in pixel.iter_mut().zip(colour(x as f32, y as f32)) {
                *level += share * (new - *level);
            }
        }
    }
}

/// One picture, at `time` seconds when somebody is there, with light that flickers and noise of four levels.
fn draw(room: &[Colour], time: Option<f32>, noise: &mut Noise) -> Vec<u8> {
    let mut picture = room.to_vec();
    if let Some(time) = time {
        person(&mut picture, time);
    }
    let light = 1.0 + 0.008 * (4.4 * time.unwrap_or(0.0)).sin() + 0.004 * noise.normal();
    let mut bytes = Vec::with_capacity(picture.len() * 3);
    for pixel in picture {
        let all = 4.0 * noise.normal();
        bytes.extend(
            pixel.map(|level| (level * light + all + 2.0 * noise.normal()).clamp(0.0, 255.0) as u8),
        );
    }
    bytes
}

const HAIR: Colour = [60.0, 42.0, 30.0];

fn plain(colour: Colour) -> impl Fn(f32, f32) -> Colour {
    move |_, _| colour
}

fn wave(time: f32, period: f32) -> f32 {
    (std::f32::consts::TAU * time / period).sin()
}

fn person(picture: &mut [Colour], t: f32) {
    let x = 330.0 + 14.0 * wave(t, 4.1) + 5.0 * wave(t, 1.3);
    let y = 165.0 + 5.0 * wave(t, 2.7) + 2.0 * wave(t, 0.9);
    let skin = move |px: f32, py: f32| {
        let spot = 4.0 * ((px - x) * 0.21).sin() * ((py - y) * 0.17).cos();
        let shade = 1.0 - 0.0022 * (px - x) - 0.0012 * (py - y);
        [205.0, 160.0, 135.0].map(|level: f32| level * shade + spot)
    };
    let shirt = |px: f32, py: f32| {
        let fold = 6.0 * (px * 0.11).sin() * (py * 0.07).cos() + (py - 300.0) * 0.1;
        [45.0, 70.0, 120.0].map(|level: f32| level + fold)
    };
    let body = (330.0 + 6.0 * wave(t, 4.1), 400.0);
    ellipse(picture, body, (150.0, 140.0), 2.0, shirt);
    ellipse(
        picture,
        (x, y + 75.0),
        (34.0, 50.0),
        2.0,
        plain([168.0, 131.0, 111.0]),
    );
    ellipse(picture, (x, y - 14.0), (78.0, 100.0), 2.0, plain(HAIR));
    ellipse(picture, (x, y + 8.0), (64.0, 84.0), 2.0, skin);
    face(picture, (x, y), t);
    if (6.0..7.5).contains(&t) {
        let hand = 500.0 + 25.0 * wave(t, 0.56);
        ellipse(picture, (hand, 230.0), (36.0, 46.0), 2.0, skin);
        for finger in [-27.0, -9.0, 9.0, 27.0] {
            ellipse(picture, (hand + finger, 180.0), (8.0, 30.0), 2.0, skin);
        }
    }
}

/// Eyes that blink and wander, a nose, a mouth that talks and pauses.
fn face(picture: &mut [Colour], (x, y): (f32, f32), t: f32) {
    let open = if t % 3.4 > 0.15 { 1.0 } else { 0.15 };
    for side in [-25.0, 25.0] {
        let white = plain([235.0, 232.0, 228.0]);
        ellipse(
            picture,
            (x + side, y - 10.0),
            (12.0, 7.0 * open + 0.5),
            1.5,
            white,
        );
        let iris = (x + side + 3.0 * t.sin(), y - 10.0);
        ellipse(
            picture,
            iris,
            (5.0, 5.0 * open + 0.3),
            1.5,
            plain([50.0, 35.0, 25.0]),
        );
        ellipse(picture, (x + side, y - 26.0), (15.0, 3.0), 1.5, plain(HAIR));
    }
    ellipse(
        picture,
        (x, y + 14.0),
        (7.0, 14.0),
        4.0,
        plain([185.0, 144.0, 122.0]),
    );
    let speaks = if t % 5.0 < 3.6 { 1.0 } else { 0.1 };
    let mouth = 2.0 + 9.0 * speaks * (wave(t, 0.43) * wave(t, 1.1)).abs();
    ellipse(
        picture,
        (x, y + 50.0),
        (24.0, mouth + 4.0),
        2.0,
        plain([170.0, 90.0, 85.0]),
    );
    ellipse(
        picture,
        (x, y + 50.0),
        (18.0, mouth),
        2.0,
        plain([70.0, 25.0, 28.0]),
    );
}
