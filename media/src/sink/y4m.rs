//! Decoded pictures into a Y4M file, for `--record-video`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::VideoSink;
use crate::device::DeviceError;
use crate::frame::Picture;
use crate::scale::Scaler;

/// The rate that the header tells. A recording holds what was decoded, picture by picture, at whatever pace it came.
const RATE_FPS: u32 = 30;

/// Writes pictures to a file. All get the size of the first: a Y4M file has only one.
pub struct Recorder<W: Write = BufWriter<File>> {
    writer: W,
    path: PathBuf,
    /// None until the first picture.
    size: Option<(u32, u32)>,
    scaler: Scaler,
    /// Takes away what the file held, when there is something to write.
    empty_first: Option<fn(&W) -> std::io::Result<()>>,
}

impl Recorder {
    /// Starts a file anew, with the first picture: until then one that exists keeps its content.
    ///
    /// # Errors
    /// The path cannot be written.
    pub fn create(path: &Path) -> Result<Self, DeviceError> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| DeviceError::write(path, source))?;
        let mut recorder = Self::new(BufWriter::new(file), path);
        recorder.empty_first = Some(|writer| writer.get_ref().set_len(0));
        Ok(recorder)
    }
}

impl<W: Write> Recorder<W> {
    /// Writes to `writer`; `path` is for messages.
    pub fn new(writer: W, path: &Path) -> Self {
        Self {
            writer,
            path: path.to_owned(),
            size: None,
            scaler: Scaler::default(),
            empty_first: None,
        }
    }

    fn append(&mut self, picture: &Picture) -> std::io::Result<()> {
        if self.size.is_none() {
            if let Some(empty) = self.empty_first.take() {
                empty(&self.writer)?;
            }
            let (width, height) = picture.size();
            writeln!(
                self.writer,
                "YUV4MPEG2 W{width} H{height} F{RATE_FPS}:1 Ip A1:1 C420jpeg"
            )?;
            self.size = Some(picture.size());
        }
        self.writer.write_all(b"FRAME\n")?;
        for plane in [&picture.y, &picture.u, &picture.v] {
            self.writer.write_all(plane)?;
        }
        Ok(())
    }
}

impl<W: Write + Send> VideoSink for Recorder<W> {
    fn write(&mut self, picture: &Arc<Picture>) -> Result<(), DeviceError> {
        let scaled = match self.size {
            Some(size) => self
                .scaler
                .scale(picture, size)
                .map_err(std::io::Error::other),
            None => Ok(Arc::clone(picture)),
        };
        scaled
            .and_then(|picture| self.append(&picture))
            .map_err(|source| DeviceError::write(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;
    use crate::source::y4m::Y4mSource;
    use crate::source::{CaptureTime, VideoSource};

    #[test]
    fn a_file_keeps_its_content_until_there_is_a_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("far.y4m");
        std::fs::write(&path, vec![7; 100_000]).expect("written");
        drop(Recorder::create(&path).expect("opens"));
        assert_eq!(std::fs::read(&path).expect("read").len(), 100_000);
        let mut recorder = Recorder::create(&path).expect("opens");
        let picture = Arc::new(Picture::grey(64, 32, 40).expect("allowed"));
        recorder.write(&picture).expect("written");
        drop(recorder);
        let bytes = std::fs::read(&path).expect("read");
        assert!(
            bytes.starts_with(b"YUV4MPEG2") && bytes.len() < 4_000,
            "{} bytes",
            bytes.len()
        );
    }

    #[test]
    fn what_is_recorded_is_read_back_and_later_sizes_become_the_first() {
        let mut bytes = Vec::new();
        let mut recorder = Recorder::new(&mut bytes, Path::new("far.y4m"));
        for (width, height, luma) in [(64, 32, 40), (64, 32, 80), (32, 16, 120), (128, 64, 160)] {
            recorder
                .write(&Arc::new(
                    Picture::grey(width, height, luma).expect("allowed"),
                ))
                .expect("memory takes it");
        }
        let mut source =
            Y4mSource::new(Cursor::new(bytes), Path::new("far.y4m")).expect("a valid file");
        assert_eq!(source.size(), (64, 32));
        for luma in [40, 80, 120, 160, 40] {
            let picture = source
                .read(CaptureTime {
                    elapsed: Duration::ZERO,
                    clock_us: 0,
                })
                .expect("a picture");
            assert!(
                picture.y.iter().all(|sample| sample.abs_diff(luma) <= 1) && picture.u[0] == 128,
                "{luma}"
            );
        }
    }
}
