//! Both directions of a call without a network: pictures and sound through all media threads, in real time.
//!
//! usage: `media_loop CAMERA MIC SPEAKER [SECONDS]`, each as the options of `hullo` have them: `file:CLIP.y4m`, `test`,
//! `device`, `file:OUT.wav`
//!
//! Prints one JSON object with the CPU time of each thread, to be held against `codec_floor` on the same
//! files.
#![allow(clippy::print_stdout, reason = "a command line tool prints its result")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hullo_media::clock;
use hullo_media::codec::h264;
use hullo_media::frame::EncodedFrame;
use hullo_media::jitter::{AudioFrame, TARGET_START};
use hullo_media::pipeline::{AudioDecode, AudioEncode, VideoDecode, VideoEncode, VideoLimits};
use hullo_media::sink::{Nowhere, open_speaker};
use hullo_media::source::{open_camera, open_mic};

/// CPU time of each thread of this process so far, in ms, by name.
fn threads_ms() -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
    let mut threads = BTreeMap::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        let name = std::fs::read_to_string(path.join("comm"))?;
        let stat = std::fs::read_to_string(path.join("schedstat"))?;
        let nanos: f64 = stat
            .split_whitespace()
            .next()
            .ok_or("an empty schedstat")?
            .parse()?;
        *threads.entry(name.trim().to_owned()).or_insert(0.0) += nanos / 1e6;
    }
    Ok(threads)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [camera, mic, speaker, rest @ ..] = arguments.as_slice() else {
        return Err("usage: media_loop CAMERA MIC SPEAKER [SECONDS]".into());
    };
    let seconds: u64 = rest.first().map_or(Ok(8), |word| word.parse())?;
    let speaker = open_speaker(&speaker.parse()?)?.unwrap_or(Box::new(Nowhere));
    let audio_decode = Arc::new(AudioDecode::start(speaker, TARGET_START));
    let video_decode = Arc::new(VideoDecode::start(
        None,
        Box::new(|_, _| ()),
        Box::new(|| ()),
    ));
    let (packets, seq) = (Arc::clone(&audio_decode), AtomicU64::new(0));
    let to_ear = move |frame: EncodedFrame| {
        let seq = seq.fetch_add(1, Relaxed);
        packets.push(AudioFrame {
            seq,
            media_time_samples: seq * 960,
            data: frame.data,
            is_copy: false,
        });
    };
    let frames = Arc::clone(&video_decode);
    let to_eye = move |frame: EncodedFrame| frames.push(frame);
    let limits = VideoLimits {
        width_max: 1280,
        height_max: 720,
        bitrate_bps: h264::BITRATE_BPS_START,
        fps_max: 30,
    };
    let mic = open_mic(&mic.parse()?)?.ok_or("a microphone is needed")?;
    let camera = open_camera(&camera.parse()?)?.ok_or("a camera is needed")?;
    let audio_encode = AudioEncode::start(mic, to_ear, false);
    let video_encode = VideoEncode::start(camera, to_eye, true, limits);
    clock::sleep(Duration::from_secs(seconds));
    let threads = threads_ms()?;
    let (sent, seen, heard) = (
        video_encode.counters(),
        video_decode.counters(),
        audio_decode.counters(),
    );
    drop((audio_encode, video_encode));
    let list: Vec<_> = threads
        .iter()
        .map(|(name, ms)| format!("\"{name}\":{ms:.1}"))
        .collect();
    println!(
        "{{\"seconds\":{seconds},\"threads_ms\":{{{}}},\"cpu_ms\":{:.1},\"captured\":{},\"encoded\":{},\"skipped\":{},\
         \"decoded\":{},\"freezes\":{},\"played_ms\":{},\"concealed_ms\":{},\"late\":{}}}",
        list.join(","),
        threads.values().sum::<f64>(),
        sent.captured,
        sent.encoded,
        sent.skipped,
        seen.decoded,
        seen.freezes,
        heard.played_ms,
        heard.concealed_ms,
        heard.late,
    );
    Ok(())
}
