//! A camera through nokhwa, in whatever form it gives its pictures.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use nokhwa::pixel_format::RgbFormat;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
    Resolution,
};
use nokhwa::{Buffer, NokhwaError};
use openh264::formats::{BgrSliceU8, RgbSliceU8, YUVBuffer, YUVSource};

use super::{CaptureTime, VideoSource};
use crate::device::DeviceError;
use crate::frame::{Picture, PictureError, PicturePool, SIDE_PX_MAX, SIDE_PX_MIN};

const WHAT: &str = "camera";
const OPTION: &str = "--camera device:NAME, --camera file:PATH, --camera test or --camera none";
/// The picture size wished for: larger ones only cost, as no terminal shows more.
const WIDTH_BEST: u32 = 640;
const HEIGHT_BEST: u32 = 360;
const RATE_FPS_BEST: u32 = 30;
/// Damaged pictures in a row that are passed over, 1 s: more is a camera that does not work.
const DAMAGED_IN_ROW_MAX: u32 = 30;

/// A running camera. Dropping it closes the device.
pub struct Camera {
    inner: nokhwa::Camera,
    size: (u32, u32),
    pool: PicturePool,
    /// Pixels of formats that are decoded to RGB on the way.
    rgb: Vec<u8>,
    yuv: Option<YUVBuffer>,
}

/// Names of the cameras there are.
#[must_use]
pub fn names() -> Vec<String> {
    let cameras = nokhwa::query(ApiBackend::Auto).unwrap_or_default();
    cameras.iter().map(|camera| camera.human_name()).collect()
}

impl Camera {
    /// Opens the first camera, or the one whose name contains `name`. Its light stays out until the first picture is
    /// read.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open(name: Option<&str>) -> Result<Self, DeviceError> {
        let cameras = nokhwa::query(ApiBackend::Auto).map_err(|error| device_error(&error))?;
        let chosen = match name {
            None => cameras.first(),
            Some(name) => cameras.iter().find(|camera| {
                camera.human_name().contains(name) || camera.index().as_string() == name
            }),
        };
        let Some(camera) = chosen else {
            return Err(match name {
                Some(name) if !cameras.is_empty() => DeviceError::NoSuchName {
                    what: WHAT,
                    name: name.to_owned(),
                    available: cameras
                        .iter()
                        .map(|camera| camera.human_name())
                        .collect::<Vec<_>>()
                        .join(", "),
                },
                _ => DeviceError::NoDevice {
                    what: WHAT,
                    option: OPTION,
                },
            });
        };
        Self::start(camera.index().clone())
    }

    fn start(index: CameraIndex) -> Result<Self, DeviceError> {
        let any = RequestedFormat::new::<RgbFormat>(RequestedFormatType::None);
        let mut inner = nokhwa::Camera::new(index, any).map_err(|error| device_error(&error))?;
        let formats = inner
            .compatible_camera_formats()
            .map_err(|error| device_error(&error))?;
        let best = choose(&formats).ok_or_else(|| DeviceError::Format {
            what: WHAT,
            found: format!("{} forms, none of them usable", formats.len()),
        })?;
        let exact = RequestedFormat::new::<RgbFormat>(RequestedFormatType::Exact(best));
        inner
            .set_camera_requset(exact)
            .map_err(|error| device_error(&error))?;
        let size = even(inner.resolution());
        tracing::debug!(%best, "the camera is open");
        Ok(Self {
            inner,
            size,
            pool: PicturePool::default(),
            rgb: Vec::new(),
            yuv: None,
        })
    }

    /// Turns what the camera gave into planes.
    fn convert(&mut self, buffer: &Buffer) -> Result<Arc<Picture>, ShortPicture> {
        let (given, size) = (buffer.resolution(), even(buffer.resolution()));
        self.size = size;
        let (width, height) = (given.width() as usize, given.height() as usize);
        let pixels = match buffer.source_frame_format() {
            FrameFormat::YUYV => Pixels::Yuyv(buffer.buffer()),
            FrameFormat::NV12 => Pixels::Nv12(buffer.buffer()),
            FrameFormat::GRAY => Pixels::Grey(buffer.buffer()),
            FrameFormat::RAWRGB => Pixels::Rgb(buffer.buffer(), Order::Rgb),
            FrameFormat::RAWBGR => Pixels::Rgb(buffer.buffer(), Order::Bgr),
            FrameFormat::MJPEG => {
                self.rgb.resize(width * height * 3, 0);
                unpack(buffer, &mut self.rgb)?;
                Pixels::Rgb(&self.rgb, Order::Rgb)
            }
        };
        let yuv = &mut self.yuv;
        self.pool
            .picture(size, |picture| fill(picture, &pixels, (width, height), yuv))
    }
}

/// Decodes a JPEG picture. The C library's errors unwind, and webcams do send a damaged picture now and then.
fn unpack(buffer: &Buffer, rgb: &mut [u8]) -> Result<(), ShortPicture> {
    let decode = AssertUnwindSafe(|| buffer.decode_image_to_buffer::<RgbFormat>(rgb));
    match catch_unwind(decode) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ShortPicture),
    }
}

impl VideoSource for Camera {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn interval(&self) -> Option<Duration> {
        None
    }

    fn read(&mut self, _at: CaptureTime) -> Result<Arc<Picture>, DeviceError> {
        if !self.inner.is_stream_open() {
            self.inner
                .open_stream()
                .map_err(|error| device_error(&error))?;
        }
        for _ in 0..DAMAGED_IN_ROW_MAX {
            let buffer = self.inner.frame().map_err(|error| device_error(&error))?;
            if let Ok(picture) = self.convert(&buffer) {
                return Ok(picture);
            }
            tracing::debug!("the camera gave a damaged picture");
        }
        let message = "it gives nothing but damaged pictures".to_owned();
        Err(DeviceError::Failed {
            what: WHAT,
            message,
        })
    }

    fn set_running(&mut self, running: bool) -> Result<(), DeviceError> {
        if running || !self.inner.is_stream_open() {
            // The next read starts it.
            return Ok(());
        }
        self.inner
            .stop_stream()
            .map_err(|error| device_error(&error))
    }
}

/// What an error of the library means to the user. It carries the driver's words, not its numbers.
fn device_error(error: &NokhwaError) -> DeviceError {
    let words = error.to_string();
    let says = |part: &str| words.to_ascii_lowercase().contains(part);
    if says("os error 16)") || says("resource busy") {
        DeviceError::Busy { what: WHAT }
    } else if says("os error 13)") || says("os error 1)") || says("permission denied") {
        DeviceError::Denied {
            what: WHAT,
            remedy: "allow it in the system's settings, or join the group \"video\" and log in again",
        }
    } else if says("os error 2)") || says("no such file") {
        DeviceError::NoDevice {
            what: WHAT,
            option: OPTION,
        }
    } else if says("os error 19)")
        || says("no such device")
        || matches!(error, NokhwaError::ReadFrameError(_))
    {
        DeviceError::Gone { what: WHAT }
    } else if matches!(
        error,
        NokhwaError::SetPropertyError { .. } | NokhwaError::ProcessFrameError { .. }
    ) {
        DeviceError::Format {
            what: WHAT,
            found: words,
        }
    } else {
        DeviceError::Failed {
            what: WHAT,
            message: words,
        }
    }
}

fn even(resolution: Resolution) -> (u32, u32) {
    (resolution.width() & !1, resolution.height() & !1)
}

/// The form nearest to what is wished for: size first, then rate, then what costs least to convert.
fn choose(formats: &[CameraFormat]) -> Option<CameraFormat> {
    let usable = |format: &&CameraFormat| {
        let (width, height) = (format.resolution().width(), format.resolution().height());
        (SIDE_PX_MIN..=SIDE_PX_MAX).contains(&width)
            && (SIDE_PX_MIN..=SIDE_PX_MAX).contains(&height)
    };
    let rank = |format: &&CameraFormat| {
        let (width, height) = (format.resolution().width(), format.resolution().height());
        let too_small = width < WIDTH_BEST || height < HEIGHT_BEST;
        let area = (width * height).abs_diff(WIDTH_BEST * HEIGHT_BEST);
        let cost = match format.format() {
            FrameFormat::NV12 => 0,
            FrameFormat::YUYV => 1,
            FrameFormat::RAWRGB | FrameFormat::RAWBGR => 2,
            FrameFormat::MJPEG => 3,
            FrameFormat::GRAY => 4,
        };
        // 15 pictures a second in a cheap form are worse than 30 that have to be unpacked.
        let slow = RATE_FPS_BEST.saturating_sub(format.frame_rate());
        (
            too_small,
            area,
            slow,
            format.frame_rate().abs_diff(RATE_FPS_BEST),
            cost,
        )
    };
    formats.iter().filter(usable).min_by_key(rank).copied()
}

enum Pixels<'a> {
    Grey(&'a [u8]),
    Nv12(&'a [u8]),
    Rgb(&'a [u8], Order),
    Yuyv(&'a [u8]),
}

/// In which order three bytes make a pixel.
#[derive(Clone, Copy)]
enum Order {
    Bgr,
    Rgb,
}

/// The camera gave fewer bytes than its size says, damaged ones, or a size that is no picture's.
#[derive(Debug)]
struct ShortPicture;

impl From<PictureError> for ShortPicture {
    fn from(_: PictureError) -> Self {
        Self
    }
}

/// Fills a picture of even size from pixels `across` x `down`, of which an odd last row or column is left out.
fn fill(
    picture: &mut Picture,
    pixels: &Pixels<'_>,
    (across, down): (usize, usize),
    yuv: &mut Option<YUVBuffer>,
) -> Result<(), ShortPicture> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let whole = |bytes: &[u8], wanted: usize| {
        if bytes.len() < wanted {
            Err(ShortPicture)
        } else {
            Ok(())
        }
    };
    match pixels {
        Pixels::Grey(bytes) => {
            whole(bytes, across * down)?;
            copy_rows(&mut picture.y, width, bytes, across);
            picture.u.fill(128);
            picture.v.fill(128);
        }
        Pixels::Nv12(bytes) => {
            let chroma_across = across.next_multiple_of(2);
            whole(bytes, across * down + chroma_across * down.div_ceil(2))?;
            copy_rows(&mut picture.y, width, bytes, across);
            let rows = bytes[across * down..]
                .chunks_exact(chroma_across)
                .take(height / 2);
            for (row, (u, v)) in rows.zip(
                picture
                    .u
                    .chunks_exact_mut(width / 2)
                    .zip(picture.v.chunks_exact_mut(width / 2)),
            ) {
                for ((pair, u), v) in row.chunks_exact(2).zip(u).zip(v) {
                    (*u, *v) = (pair[0], pair[1]);
                }
            }
        }
        Pixels::Yuyv(bytes) => {
            let stride = across.next_multiple_of(2) * 2;
            whole(bytes, stride * down)?;
            fill_yuyv(picture, bytes, stride);
        }
        Pixels::Rgb(bytes, order) => {
            let bytes = bytes.get(..across * down * 3).ok_or(ShortPicture)?;
            if (across, down) != (width, height) {
                // The library's conversion wants even sides; no camera with RGB or MJPEG was found that has others.
                return Err(ShortPicture);
            }
            if yuv
                .as_ref()
                .is_none_or(|kept| kept.dimensions() != (width, height))
            {
                *yuv = None;
            }
            let yuv = yuv.get_or_insert_with(|| YUVBuffer::new(width, height));
            match order {
                Order::Rgb => yuv.read_rgb8(RgbSliceU8::new(bytes, (width, height))),
                Order::Bgr => yuv.read_rgb(BgrSliceU8::new(bytes, (width, height))),
            }
            picture.y.copy_from_slice(yuv.y());
            picture.u.copy_from_slice(yuv.u());
            picture.v.copy_from_slice(yuv.v());
        }
    }
    Ok(())
}

fn copy_rows(to: &mut [u8], width: usize, from: &[u8], stride: usize) {
    for (to, from) in to.chunks_exact_mut(width).zip(from.chunks_exact(stride)) {
        to.copy_from_slice(&from[..width]);
    }
}

/// `Y U Y V` for two pixels; the colour of two rows is averaged.
fn fill_yuyv(picture: &mut Picture, bytes: &[u8], stride: usize) {
    let width = picture.width as usize;
    for (to, from) in picture
        .y
        .chunks_exact_mut(width)
        .zip(bytes.chunks_exact(stride))
    {
        for (luma, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
            *luma = pair[0];
        }
    }
    let mean = |one: u8, other: u8| u16::midpoint(u16::from(one), u16::from(other) + 1) as u8;
    let chroma = picture
        .u
        .chunks_exact_mut(width / 2)
        .zip(picture.v.chunks_exact_mut(width / 2));
    for ((u, v), rows) in chroma.zip(bytes.chunks_exact(2 * stride)) {
        let (upper, lower) = rows.split_at(stride);
        let quads = upper.chunks_exact(4).zip(lower.chunks_exact(4));
        for ((u, v), (upper, lower)) in u.iter_mut().zip(v).zip(quads) {
            (*u, *v) = (mean(upper[1], lower[1]), mean(upper[3], lower[3]));
        }
    }
}

#[cfg(test)]
mod tests;
