//! What the codecs alone cost and achieve: the floor that a whole call is compared with.
//!
//! usage: `codec_floor CLIP.y4m SPEECH.wav [VIDEO_BPS] [SECONDS] [paced|vp8]`
//!
//! Encodes and decodes the clip (looped) and the sound (looped) as the two directions of one call would, as fast as it
//! goes, and prints one JSON object. Times are thread CPU time of this one thread, from `/proc/thread-self/schedstat`.
//!
//! With `paced` as fifth word it does the same at the pace of a call, sleeping in between: caches are cold then, as they
//! are in a call, and the difference to the fast loop is what waiting costs. With `vp8` the pictures go through the codec
//! of group calls instead of H.264.
#![allow(clippy::print_stdout, reason = "a command line tool prints its result")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullo_media::codec::{AudioDecoder, AudioEncoder, VideoDecoder, VideoEncoder, h264, opus, vp8};
use hullo_media::frame::{BLOCK_SAMPLES, EncodedFrame, Picture};
use hullo_media::source::wav::WavSource;
use hullo_media::source::y4m::Y4mSource;
use hullo_media::source::{AudioSource, CaptureTime, VideoSource};

/// CPU time this thread has used.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat
        .split_whitespace()
        .next()
        .ok_or("an empty schedstat")?
        .parse()?;
    Ok(Duration::from_nanos(nanos))
}

/// Runs `work` and adds its CPU time to `total`.
fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> Result<T, Box<dyn Error>> {
    let before = cpu()?;
    let result = work();
    *total += cpu()?.saturating_sub(before);
    Ok(result)
}

#[derive(Default)]
struct Video {
    pictures: u32,
    frames: u32,
    bytes: usize,
    psnr_db: f64,
    psnr_db_min: f64,
    read: Duration,
    encode: Duration,
    decode: Duration,
}

/// Pictures handled at a time: the kernel counts CPU time in steps of some milliseconds, so single frames cannot be
/// measured; all at once would need the whole clip in memory.
const CHUNK: u32 = 60;

fn video(
    clip: &Path,
    bitrate_bps: u32,
    length: Duration,
    is_vp8: bool,
) -> Result<Video, Box<dyn Error>> {
    let mut source = Y4mSource::open(clip)?;
    let interval = source.interval().ok_or("a clip has a rate")?;
    let rate_fps = (1.0 / interval.as_secs_f64()).round() as u32;
    let mut encoder: Box<dyn VideoEncoder> = if is_vp8 {
        let content = vp8::Content::Camera;
        Box::new(vp8::Encoder::new(content, bitrate_bps, rate_fps))
    } else {
        Box::new(h264::Encoder::new(bitrate_bps, rate_fps))
    };
    let mut decoder: Box<dyn VideoDecoder> = if is_vp8 {
        Box::new(vp8::Decoder::new()?)
    } else {
        Box::new(h264::Decoder::new()?)
    };
    let start = Instant::now();
    let mut sum = Video {
        psnr_db_min: f64::MAX,
        ..Video::default()
    };
    let mut shown: Option<Arc<Picture>> = None;
    let wanted = (length.as_secs_f64() / interval.as_secs_f64()).round() as u32;
    while sum.pictures < wanted {
        let indices = sum.pictures..wanted.min(sum.pictures + CHUNK);
        sum.pictures = indices.end;
        let at = |index: u32| CaptureTime {
            elapsed: interval * index,
            clock_us: 0,
        };
        let pictures = timed(&mut sum.read, || {
            indices
                .clone()
                .map(|index| source.read(at(index)))
                .collect::<Result<Vec<_>, _>>()
        })??;
        let frames = timed(&mut sum.encode, || {
            let numbered = pictures.iter().zip(indices);
            let encode = |(picture, index): (&Arc<Picture>, u32)| {
                encoder.encode(picture, start + interval * index)
            };
            numbered.map(encode).collect::<Result<Vec<_>, _>>()
        })??;
        let decoded = timed(&mut sum.decode, || {
            let decode = |frame: &Option<EncodedFrame>| match frame {
                Some(frame) => decoder.decode(&frame.data),
                None => Ok(None),
            };
            frames.iter().map(decode).collect::<Result<Vec<_>, _>>()
        })??;
        sum.frames += frames.iter().flatten().count() as u32;
        sum.bytes += frames
            .iter()
            .flatten()
            .map(|frame| frame.data.len())
            .sum::<usize>();
        for (picture, decoded) in pictures.iter().zip(decoded) {
            // A frame left out shows the picture before it: it counts as it looks.
            shown = decoded.or(shown);
            let psnr_db = picture.psnr_db(shown.as_deref().ok_or("nothing was decoded")?);
            sum.psnr_db += psnr_db;
            sum.psnr_db_min = sum.psnr_db_min.min(psnr_db);
        }
    }
    Ok(sum)
}

#[derive(Default)]
struct Audio {
    blocks: u32,
    bytes: usize,
    encode: Duration,
    decode: Duration,
}

fn audio(speech: &Path, length: Duration) -> Result<Audio, Box<dyn Error>> {
    let mut source = WavSource::open(speech)?;
    let (mut encoder, mut decoder) = (opus::Encoder::new()?, opus::Decoder::new()?);
    let (mut sum, mut block, mut sound) = (Audio::default(), [0.0; BLOCK_SAMPLES], Vec::new());
    let mut blocks = Vec::new();
    let step = Duration::from_millis(20);
    let wanted = length.as_millis() as u32 / 20;
    while sum.blocks < wanted {
        source.read(
            CaptureTime {
                elapsed: step * sum.blocks,
                clock_us: 0,
            },
            &mut block,
        )?;
        blocks.push(block);
        sum.blocks += 1;
    }
    let packets = timed(&mut sum.encode, || {
        blocks
            .iter()
            .map(|block| encoder.encode(block))
            .collect::<Result<Vec<_>, _>>()
    })??;
    sum.bytes = packets.iter().map(Vec::len).sum();
    timed(&mut sum.decode, || {
        packets.iter().try_for_each(|packet| {
            sound.clear();
            decoder.decode(packet, &mut sound).map(drop)
        })
    })??;
    Ok(sum)
}

/// CPU time of the codecs alone when each block and picture comes at its time. Everything this thread does counts,
/// reading the files included, as it does in a call.
fn paced(
    clip: &Path,
    speech: &Path,
    bitrate_bps: u32,
    length: Duration,
) -> Result<Duration, Box<dyn Error>> {
    let (mut camera, mut microphone) = (Y4mSource::open(clip)?, WavSource::open(speech)?);
    let interval = camera.interval().ok_or("a clip has a rate")?;
    let rate = (1.0 / interval.as_secs_f64()).round() as u32;
    let (mut video, mut screen) = (h264::Encoder::new(bitrate_bps, rate), h264::Decoder::new()?);
    let (mut voice, mut ear) = (opus::Encoder::new()?, opus::Decoder::new()?);
    let (mut block, mut sound) = ([0.0; BLOCK_SAMPLES], Vec::new());
    let (begin, before) = (Instant::now(), cpu()?);
    let (mut next_block, mut next_picture) = (Duration::ZERO, Duration::ZERO);
    while next_block < length {
        let due = next_block.min(next_picture);
        std::thread::sleep((begin + due).saturating_duration_since(Instant::now()));
        let at = CaptureTime {
            elapsed: due,
            clock_us: 0,
        };
        if due == next_block {
            microphone.read(at, &mut block)?;
            let packet = voice.encode(&block)?;
            sound.clear();
            ear.decode(&packet, &mut sound)?;
            next_block += Duration::from_millis(20);
        } else {
            let picture = camera.read(at)?;
            if let Some(frame) = video.encode(&picture, begin + due)? {
                screen.decode(&frame.data)?;
            }
            next_picture += interval;
        }
    }
    Ok(cpu()?.saturating_sub(before))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clip, speech, rest @ ..] = arguments.as_slice() else {
        return Err(
            "usage: codec_floor CLIP.y4m SPEECH.wav [VIDEO_BPS] [SECONDS] [paced|vp8]".into(),
        );
    };
    let bitrate_bps = rest
        .first()
        .map_or(Ok(h264::BITRATE_BPS_START), |word| word.parse())?;
    let seconds: u32 = rest.get(1).map_or(Ok(10), |word| word.parse())?;
    let length = Duration::from_secs(seconds.into());
    if rest.get(2).is_some_and(|word| word == "paced") {
        let cpu = paced(Path::new(clip), Path::new(speech), bitrate_bps, length)?;
        let ms = cpu.as_secs_f64() * 1000.0;
        println!(
            r#"{{"seconds":{seconds},"paced":true,"cpu_ms":{ms:.1},"core_percent":{:.2}}}"#,
            ms / (f64::from(seconds) * 10.0)
        );
        return Ok(());
    }
    let is_vp8 = rest.get(2).is_some_and(|word| word == "vp8");
    let video = video(Path::new(clip), bitrate_bps, length, is_vp8)?;
    let audio = audio(Path::new(speech), length)?;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let total = video.encode + video.decode + audio.encode + audio.decode;
    println!(
        concat!(
            r#"{{"seconds":{},"video":{{"pictures":{},"frames":{},"bitrate_bps":{:.0},"psnr_db_mean":{:.2},"#,
            r#""psnr_db_min":{:.2},"encode_ms":{:.1},"decode_ms":{:.1},"read_ms":{:.1}}},"#,
            r#""audio":{{"blocks":{},"bitrate_bps":{:.0},"encode_ms":{:.1},"decode_ms":{:.1}}},"#,
            r#""cpu_ms":{:.1},"core_percent":{:.2}}}"#
        ),
        seconds,
        video.pictures,
        video.frames,
        video.bytes as f64 * 8.0 / f64::from(seconds),
        video.psnr_db / f64::from(video.pictures),
        video.psnr_db_min,
        ms(video.encode),
        ms(video.decode),
        ms(video.read),
        audio.blocks,
        audio.bytes as f64 * 8.0 / f64::from(seconds),
        ms(audio.encode),
        ms(audio.decode),
        ms(total),
        ms(total) / (f64::from(seconds) * 10.0),
    );
    Ok(())
}
