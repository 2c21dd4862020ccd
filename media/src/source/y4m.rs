//! A Y4M file as a camera: streamed, looped, at its own frame rate.
//!
//! Format: one header line `YUV4MPEG2 W… H… F…:… C…`, then for each picture a line `FRAME…` and the three planes
//! (yuv4mpeg(5) of mjpegtools). Only progressive 8-bit 4:2:0 is read; where chroma sits between the pixels is ignored.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{CaptureTime, VideoSource};
use crate::device::DeviceError;
use crate::frame::{Picture, PictureError, PicturePool, check_size};

/// Longest header line: real ones have under 100 bytes, and a file of anything else must not be read whole.
const LINE_BYTES_MAX: u64 = 512;
/// Frames per second when the file says "unknown" (`F0:0`).
const RATE_FPS_UNKNOWN: u32 = 30;
/// Fastest rate: beyond it no screen shows a difference, and a wrong header must not start a busy loop.
const RATE_FPS_MAX: u32 = 120;

/// What the header line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Time from picture to picture.
    pub interval: Duration,
}

impl Header {
    /// Reads the header line, without its line end.
    ///
    /// # Errors
    /// What was found instead, for the user.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "no Y4M file".to_owned())?;
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("YUV4MPEG2") {
            return Err("no Y4M file".to_owned());
        }
        let (mut width, mut height, mut rate) = (0, 0, Some((RATE_FPS_UNKNOWN, 1)));
        for word in words {
            let Some((tag, value)) = word.split_at_checked(1) else {
                continue;
            };
            match tag {
                "W" => width = value.parse().unwrap_or(0),
                "H" => height = value.parse().unwrap_or(0),
                "F" => rate = parse_rate(value),
                "C" if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                    return Err(format!("colour format C{value}"));
                }
                _ => {}
            }
        }
        check_size(width, height).map_err(|_| format!("pictures of {width}x{height} pixels"))?;
        let (frames, seconds) = rate.ok_or("a frame rate that makes no sense")?;
        Ok(Self {
            width,
            height,
            interval: Duration::from_secs(u64::from(seconds)) / frames,
        })
    }
}

/// `30:1` → 30 frames in 1 second; `0:0` means unknown.
fn parse_rate(value: &str) -> Option<(u32, u32)> {
    let (frames, seconds) = value.split_once(':')?;
    let (frames, seconds): (u32, u32) = (frames.parse().ok()?, seconds.parse().ok()?);
    match (frames, seconds) {
        (0, 0) => Some((RATE_FPS_UNKNOWN, 1)),
        (0, _) | (_, 0) => None,
        // At most one picture in 10 s: slower is a slide show, and a timer of weeks is a mistake.
        _ if frames.div_ceil(seconds) > RATE_FPS_MAX || seconds / frames > 10 => None,
        _ => Some((frames, seconds)),
    }
}

/// Pictures of a Y4M file, over and over. Holds one picture in memory, never the file.
pub struct Y4mSource<R = BufReader<File>> {
    reader: R,
    path: PathBuf,
    header: Header,
    first_frame_at: u64,
    pool: PicturePool,
}

impl Y4mSource {
    /// Opens a file and reads its first picture, so that a wrong file is found before the call begins.
    ///
    /// # Errors
    /// It cannot be read or is not what is allowed.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let file = File::open(path).map_err(|source| DeviceError::read(path, source))?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: BufRead + Seek + Send> Y4mSource<R> {
    /// Reads from `reader`; `path` is for messages.
    ///
    /// # Errors
    /// As [`Y4mSource::open`].
    pub fn new(mut reader: R, path: &Path) -> Result<Self, DeviceError> {
        let line = read_line(&mut reader).map_err(|source| DeviceError::read(path, source))?;
        let header = Header::parse(line.as_deref().unwrap_or_default())
            .map_err(|found| wrong(path, found))?;
        let first_frame_at = reader
            .stream_position()
            .map_err(|source| DeviceError::read(path, source))?;
        let mut source = Self {
            reader,
            path: path.to_owned(),
            header,
            first_frame_at,
            pool: PicturePool::default(),
        };
        if source.picture()?.is_none() {
            return Err(wrong(
                path,
                "a Y4M file without one whole picture".to_owned(),
            ));
        }
        source.rewind()?;
        Ok(source)
    }

    fn rewind(&mut self) -> Result<(), DeviceError> {
        let start = SeekFrom::Start(self.first_frame_at);
        self.reader
            .seek(start)
            .map_err(|source| DeviceError::read(&self.path, source))?;
        Ok(())
    }

    /// The next picture; none at the end, or where the last picture is cut short.
    fn picture(&mut self) -> Result<Option<Arc<Picture>>, DeviceError> {
        let failed = |source| DeviceError::read(&self.path, source);
        let Some(line) = read_line(&mut self.reader).map_err(failed)? else {
            return Ok(None);
        };
        if !line.starts_with(b"FRAME") {
            return Err(wrong(
                &self.path,
                "a Y4M file that is damaged between two pictures".to_owned(),
            ));
        }
        let reader = &mut self.reader;
        let read = self
            .pool
            .picture((self.header.width, self.header.height), |picture| {
                for plane in [&mut picture.y, &mut picture.u, &mut picture.v] {
                    reader.read_exact(plane).map_err(ReadError::Io)?;
                }
                Ok(())
            });
        match read {
            Ok(picture) => Ok(Some(picture)),
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Ok(None)
            }
            Err(ReadError::Io(source)) => Err(DeviceError::read(&self.path, source)),
            Err(ReadError::Picture(error)) => Err(wrong(&self.path, error.to_string())),
        }
    }
}

enum ReadError {
    Io(std::io::Error),
    Picture(PictureError),
}

impl From<PictureError> for ReadError {
    fn from(error: PictureError) -> Self {
        Self::Picture(error)
    }
}

/// One line without its end; none at the end of the file. A line without end is cut at [`LINE_BYTES_MAX`].
fn read_line(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    line.pop_if(|last| *last == b'\n');
    Ok(Some(line))
}

fn wrong(path: &Path, found: String) -> DeviceError {
    DeviceError::File {
        path: path.to_owned(),
        found,
        allowed: "a Y4M file, 4:2:0 with 8 bits (C420, C420jpeg, C420mpeg2, C420paldv), even sides from 16 to 4096, \
                  up to 120 frames per second",
    }
}

impl<R: BufRead + Seek + Send> VideoSource for Y4mSource<R> {
    fn size(&self) -> (u32, u32) {
        (self.header.width, self.header.height)
    }

    fn interval(&self) -> Option<Duration> {
        Some(self.header.interval)
    }

    fn read(&mut self, _at: CaptureTime) -> Result<Arc<Picture>, DeviceError> {
        if let Some(picture) = self.picture()? {
            return Ok(picture);
        }
        self.rewind()?;
        // The first picture was there at the start; if it is gone, somebody cut the file meanwhile.
        self.picture()?.ok_or_else(|| {
            wrong(
                &self.path,
                "a file that was emptied while in use".to_owned(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    const AT: CaptureTime = CaptureTime {
        elapsed: Duration::ZERO,
        clock_us: 0,
    };

    fn clip(header: &str, lumas: &[u8], tail: &[u8]) -> Vec<u8> {
        let mut bytes = header.as_bytes().to_vec();
        for luma in lumas {
            bytes.extend_from_slice(b"FRAME\n");
            bytes.extend(std::iter::repeat_n(*luma, 16 * 16 * 3 / 2));
        }
        bytes.extend_from_slice(tail);
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<Y4mSource<Cursor<Vec<u8>>>, DeviceError> {
        Y4mSource::new(Cursor::new(bytes), Path::new("clip.y4m"))
    }

    #[test]
    fn pictures_come_in_order_and_start_again_after_the_last_whole_one() {
        let mut source = open(clip(
            "YUV4MPEG2 W16 H16 F25:1 Ip C420jpeg XA=B\n",
            &[1, 2, 3],
            b"FRAME\nshort",
        ))
        .expect("a clip");
        assert_eq!(
            (source.size(), source.interval()),
            ((16, 16), Some(Duration::from_millis(40)))
        );
        let lumas: Vec<u8> = (0..7)
            .map(|_| source.read(AT).expect("a picture").y[255])
            .collect();
        assert_eq!(lumas, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn what_is_no_clip_is_named_together_with_what_is_allowed() {
        for (header, found) in [
            ("RIFF\n", "no Y4M file"),
            ("YUV4MPEG2 W16 H16 F30:1 C444\n", "C444"),
            ("YUV4MPEG2 W16 H16 F30:1 C420p10\n", "C420p10"),
            ("YUV4MPEG2 W17 H16 F30:1\n", "17x16"),
            ("YUV4MPEG2 W16 H16 F30:0\n", "frame rate"),
            ("YUV4MPEG2 W16 H16 F100000:1\n", "frame rate"),
            ("YUV4MPEG2 W16 H16 F30:1\n", "without one whole picture"),
        ] {
            let error = open(header.as_bytes().to_vec())
                .err()
                .expect(header)
                .to_string();
            assert!(
                error.contains(found) && error.contains("clip.y4m") && error.contains("C420mpeg2"),
                "{error}"
            );
        }
        let error = open(clip("YUV4MPEG2 W16 H16\n", &[1], b"")).map(|mut source| {
            source
                .reader
                .get_mut()
                .extend_from_slice(b"garbage garbage\n");
            source.read(AT).and_then(|_| source.read(AT)).err()
        });
        assert!(
            error
                .expect("opens")
                .is_some_and(|error| error.to_string().contains("damaged"))
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Y4mSource::open(Path::new("/nowhere/clip.y4m"))
            .err()
            .expect("there is none")
            .to_string();
        assert!(error.contains("cannot read /nowhere/clip.y4m"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail in proptest::collection::vec(any::<u8>(), 0..2000), whole in any::<bool>()) {
            let bytes = if whole { clip("YUV4MPEG2 W16 H16\n", &[9], &tail) } else { tail };
            if let Ok(mut source) = open(bytes) {
                for _ in 0..8 {
                    let _ = source.read(AT);
                }
            }
        }

        #[test]
        fn no_header_makes_the_parser_panic(line in "(YUV4MPEG2 )?([WHFC][0-9:]{0,12} ?){0,6}.{0,20}") {
            let _ = Header::parse(line.as_bytes());
        }
    }
}
