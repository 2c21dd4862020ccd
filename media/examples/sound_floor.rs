//! What the codec and the processing of sound alone cost: the floor that a whole sound call is compared with.
//!
//! usage: `sound_floor SPEECH.wav [SECONDS]`
//!
//! At the pace of a call, in one thread: 20 ms of the file (looped) go through echo cancellation, noise suppression and gain, are
//! encoded and decoded as the two directions of one call would be, and are what the loudspeaker is given. Prints one JSON
//! object; times are thread CPU time, from `/proc/thread-self/schedstat`.
#![allow(clippy::print_stdout, reason = "a command line tool prints its result")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hullo_media::codec::{AudioDecoder as _, AudioEncoder as _, opus};
use hullo_media::frame::{BLOCK_SAMPLES, BLOCK_TIME};
use hullo_media::process::{Processing, Processor};
use hullo_media::source::wav::WavSource;
use hullo_media::source::{AudioSource as _, CaptureTime};

/// CPU time this thread has used.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split_whitespace().next().ok_or("an empty schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let wav = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: sound_floor SPEECH.wav [SECONDS]")?,
    );
    let seconds: u32 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let mut source = WavSource::open(&wav)?;
    let mut processor = Processor::new(Processing::ALL);
    let (mut encoder, mut decoder) = (opus::Encoder::new()?, opus::Decoder::new()?);
    let mut block = [0.0; BLOCK_SAMPLES];
    let mut heard = vec![0.0; BLOCK_SAMPLES];
    let (begun, before) = (Instant::now(), cpu()?);
    let mut bytes = 0;
    for index in 0..seconds * 50 {
        let due = begun + BLOCK_TIME * index;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let at = CaptureTime {
            elapsed: BLOCK_TIME * index,
            clock_us: 0,
        };
        source.read(at, &mut block)?;
        processor.set_delay_ms(40);
        processor.both(&heard, &mut block);
        let packet = encoder.encode(&block)?;
        bytes += packet.len();
        heard.clear();
        decoder.decode(&packet, &mut heard)?;
    }
    let used = cpu()?.saturating_sub(before);
    println!(
        "{{\"cpu_ms\":{:.1},\"seconds\":{:.2},\"bytes\":{bytes}}}",
        used.as_secs_f64() * 1_000.0,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}
