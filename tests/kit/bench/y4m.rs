//! Y4M files, one picture at a time (yuv4mpeg(5) of mjpegtools): 8-bit 4:2:0 only.

use std::io::{self, BufRead, Write};

/// Longest header line; real ones have under 100 bytes.
const LINE_BYTES_MAX: u64 = 512;

/// Largest side in pixels: refuses to allocate by a damaged header.
const SIDE_PX_MAX: usize = 4096;

/// The size of every picture of a file and its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels across; even.
    pub width: usize,
    /// Pixels down; even.
    pub height: usize,
    /// Pictures per second.
    pub rate_fps: u32,
}

impl Shape {
    /// Bytes of the luma plane.
    #[must_use]
    pub fn luma_len(self) -> usize {
        self.width * self.height
    }

    /// Bytes of both colour planes together.
    #[must_use]
    pub fn chroma_len(self) -> usize {
        self.luma_len() / 2
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Y4mError {
    /// The disk's fault.
    #[error("reading: {0}")]
    Io(#[from] io::Error),
    /// The file is something else, or damaged.
    #[error("not an 8-bit 4:2:0 Y4M file: {0}")]
    Format(&'static str),
}

/// Reads the luma of one picture after another.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    shape: Shape,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// The file is not one, or cannot be read.
    pub fn new(mut input: R) -> Result<Self, Y4mError> {
        let line = read_line(&mut input)?.ok_or(Y4mError::Format("it is empty"))?;
        let shape = parse_header(&line)?;
        Ok(Self { input, shape })
    }

    /// Size and rate of every picture.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The luma of the next picture, row by row; none at the end. A last picture that was cut short is left out: the
    /// program may have been ended while it wrote.
    ///
    /// # Errors
    /// The file is damaged or cannot be read.
    pub fn read_luma(&mut self) -> Result<Option<Vec<u8>>, Y4mError> {
        let Some(line) = read_line(&mut self.input)? else {
            return Ok(None);
        };
        if !line.starts_with("FRAME") {
            return Err(Y4mError::Format("a picture does not begin with FRAME"));
        }
        let mut planes = vec![0; self.shape.luma_len() + self.shape.chroma_len()];
        match self.input.read_exact(&mut planes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        planes.truncate(self.shape.luma_len());
        Ok(Some(planes))
    }
}

fn read_line(input: &mut impl BufRead) -> Result<Option<String>, Y4mError> {
    let mut line = Vec::new();
    io::Read::take(input, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => String::from_utf8(line)
            .map(Some)
            .map_err(|_| Y4mError::Format("a header line is no text")),
        Some(_) => Err(Y4mError::Format("a header line does not end")),
    }
}

fn parse_header(line: &str) -> Result<Shape, Y4mError> {
    let mut fields = line.split(' ');
    if fields.next() != Some("YUV4MPEG2") {
        return Err(Y4mError::Format("it does not begin with YUV4MPEG2"));
    }
    let (mut width, mut height, mut rate_fps) = (0, 0, 30);
    for field in fields {
        let Some((kind, value)) = field.split_at_checked(1) else {
            continue;
        };
        match kind {
            "W" => width = value.parse().unwrap_or(0),
            "H" => height = value.parse().unwrap_or(0),
            "F" => {
                rate_fps = parse_rate(value).ok_or(Y4mError::Format("its rate is no fraction"))?
            }
            "C" if !value.starts_with("420") || value.starts_with("420p1") => {
                return Err(Y4mError::Format("its colours are not 8-bit 4:2:0"));
            }
            _ => {}
        }
    }
    let fits = |side: usize| side > 0 && side.is_multiple_of(2) && side <= SIDE_PX_MAX;
    if !fits(width) || !fits(height) {
        return Err(Y4mError::Format("its size is missing, odd or too large"));
    }
    Ok(Shape {
        width,
        height,
        rate_fps,
    })
}

fn parse_rate(value: &str) -> Option<u32> {
    let (pictures, seconds) = value.split_once(':')?;
    let (pictures, seconds): (u32, u32) = (pictures.parse().ok()?, seconds.parse().ok()?);
    pictures.checked_add(seconds / 2)?.checked_div(seconds)
}

/// Writes the header line.
///
/// # Errors
/// The disk's fault.
pub fn write_header(out: &mut impl Write, shape: Shape) -> io::Result<()> {
    let Shape {
        width,
        height,
        rate_fps,
    } = shape;
    writeln!(
        out,
        "YUV4MPEG2 W{width} H{height} F{rate_fps}:1 Ip A1:1 C420jpeg"
    )
}

/// Writes one picture: luma, then both colour planes.
///
/// # Errors
/// The disk's fault.
pub fn write_picture(out: &mut impl Write, luma: &[u8], chroma: &[u8]) -> io::Result<()> {
    out.write_all(b"FRAME\n")?;
    out.write_all(luma)?;
    out.write_all(chroma)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        width: 4,
        height: 2,
        rate_fps: 30,
    };

    fn file(pictures: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, SHAPE).unwrap();
        for value in 0..pictures {
            write_picture(&mut bytes, &[value; 8], &[128; 4]).unwrap();
        }
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = file(2);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!(reader.shape(), SHAPE);
        assert_eq!(reader.read_luma().unwrap(), Some(vec![0; 8]));
        assert_eq!(reader.read_luma().unwrap(), Some(vec![1; 8]));
        assert_eq!(reader.read_luma().unwrap(), None);
    }

    #[test]
    fn a_last_picture_cut_short_is_left_out() {
        let bytes = file(2);
        let mut reader = Reader::new(&bytes[..bytes.len() - 1]).unwrap();
        assert!(reader.read_luma().unwrap().is_some());
        assert_eq!(reader.read_luma().unwrap(), None);
    }

    #[test]
    fn other_files_are_refused() {
        let wrong: [&[u8]; 7] = [
            b"",
            b"RIFF....WAVE\n",
            b"YUV4MPEG2 W640 H360",
            b"YUV4MPEG2 W640\n",
            b"YUV4MPEG2 W641 H360\n",
            b"YUV4MPEG2 W640 H360 C444\n",
            b"YUV4MPEG2 W640 H360 F30:0\n",
        ];
        for bytes in wrong {
            assert!(Reader::new(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        let mut damaged = file(1);
        damaged.extend_from_slice(b"RAME\n");
        let mut reader = Reader::new(&damaged[..]).unwrap();
        assert!(reader.read_luma().unwrap().is_some());
        assert!(reader.read_luma().is_err());
    }
}
