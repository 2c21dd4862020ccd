//! Scratch.
#[path = "screen/quality.rs"]
mod quality;
use hullo_picture::*;
use quality::*;
use std::process::Command;

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(args)
        .arg("-")
        .output()
        .unwrap()
        .stdout
}

fn main() {
    let dir = std::env::var("CLIPS").unwrap_or("/tmp/P-clips".into());
    let clip = std::env::var("CLIP").unwrap_or("talk".into());
    let (c, r): (u16, u16) = (120, 34);
    let every: usize = std::env::var("EVERY").map_or(6, |v| v.parse().unwrap());
    let path = format!("{dir}/{clip}.mp4");
    let yuv = ffmpeg(&["-i", &path, "-f", "rawvideo", "-pix_fmt", "yuv420p"]);
    let (w, h) = (640usize, 360usize);
    let size = w * h * 3 / 2;
    let (pw, ph) = (c as usize * 2, r as usize * 4);
    let scaled = ffmpeg(&[
        "-i",
        &path,
        "-vf",
        &format!("scale={pw}:{ph}:flags=area+accurate_rnd+full_chroma_int"),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
    ]);
    let source: Vec<Vec<Rgb>> = scaled
        .chunks_exact(pw * ph * 3)
        .map(|p| p.as_chunks::<3>().0.to_vec())
        .collect();
    for point in std::env::args().skip(1).filter(|a| a.contains(',')) {
        // colours,glyphs,thr,lambda,budget
        let p: Vec<&str> = point.split(',').collect();
        let colours = match p[0] {
            "t" => Colours::True,
            "256" => Colours::Palette256,
            "16" => Colours::Palette16,
            _ => Colours::None,
        };
        let glyphs = match p[1] {
            "q" => Glyphs::Quadrant,
            "h" => Glyphs::Half,
            "b" => Glyphs::Braille,
            _ => Glyphs::Ascii,
        };
        let quality = Quality {
            threshold: p[2].parse().unwrap(),
            lambda: p[3].parse().unwrap(),
        };
        let budget = p[4].parse().unwrap_or(usize::MAX);
        let mut e = Encoder::new(
            EncoderOptions {
                colours,
                glyphs,
                quality,
                ..Default::default()
            },
            c,
            r,
        );
        let mut frames = vec![];
        let mut ns = vec![];
        let mut cells = 0;
        let mut painted = 0;
        for f in yuv.chunks_exact(size) {
            let (y, uv) = f.split_at(w * h);
            let (u, v) = uv.split_at(w * h / 4);
            let pic = PictureRef::i420(
                640,
                360,
                Plane {
                    samples: y,
                    stride: w,
                },
                Plane {
                    samples: u,
                    stride: w / 2,
                },
                Plane {
                    samples: v,
                    stride: w / 2,
                },
            )
            .unwrap();
            let mut out = Vec::new();
            let t = std::time::Instant::now();
            let t0 = cpu_ns();
            let s = e.encode(
                &[Tile {
                    rect: Rect::new(0, 0, c, r),
                    picture: pic,
                }],
                &Mask::new(),
                budget,
                &mut out,
            );
            ns.push(t.elapsed().as_nanos() as u64);
            let _ = cpu_ns() - t0;
            cells += s.cells;
            if !s.painted {
                painted += 1;
            }
            if std::env::var("V").is_ok() && frames.len() < 100 {
                eprintln!("{} {s:?}", frames.len());
            }
            frames.push(out);
        }
        let n = frames.len();
        let mut t = vt100::Parser::new(r.try_into().unwrap(), c.try_into().unwrap(), 0);
        let mut score = Score::default();
        let mut steady = Score::default();
        for (i, f) in frames.iter().enumerate() {
            t.process(f);
            if i % every == 5 {
                score.add(
                    &pixels(t.screen(), c as usize, r as usize),
                    &source,
                    i,
                    pw,
                    0,
                );
            }
        }
        let mut sizes: Vec<usize> = frames.iter().map(Vec::len).collect();
        let total: usize = sizes.iter().sum();
        let worst = sizes
            .windows(30)
            .map(|w| w.iter().sum::<usize>())
            .max()
            .unwrap() as f64
            / 30.0;
        let first = sizes[0];
        sizes.sort_unstable();
        ns.sort_unstable();
        println!(
            "{clip} {point}: mean {} first {first} p50 {} p95 {} worst s {:.0} | PSNR {:.2} SSIM {:.4} ({:.2} {:.4}) | cells {} | ms p10 {:.3} p50 {:.3} | unpainted {painted}",
            total / n,
            sizes[n / 2],
            sizes[n * 95 / 100],
            worst,
            score.psnr(),
            score.ssim(),
            steady.psnr(),
            steady.ssim(),
            cells / n,
            ns[n / 10] as f64 / 1e6,
            ns[n / 2] as f64 / 1e6
        );
    }
}
