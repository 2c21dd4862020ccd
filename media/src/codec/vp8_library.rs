//! libvpx's VP8: the calls themselves, wrapped so that nothing outside this file can misuse them. What is asked of it,
//! limits and shapes are [`super::vp8`]'s.
#![allow(
    unsafe_code,
    reason = "libvpx is a C library without a safe wrapper that builds against the versions in use"
)]

use std::ffi::{CStr, c_int, c_long, c_uint, c_ulong};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use vpx_sys::vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED;
use vpx_sys::vp8e_enc_control_id::{
    VP8E_SET_CPUUSED, VP8E_SET_MAX_INTRA_BITRATE_PCT, VP8E_SET_SCREEN_CONTENT_MODE,
    VP8E_SET_STATIC_THRESHOLD,
};
use vpx_sys::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT;
use vpx_sys::vpx_codec_err_t::VPX_CODEC_OK;
use vpx_sys::vpx_img_fmt::VPX_IMG_FMT_I420;
use vpx_sys::{
    VPX_DECODER_ABI_VERSION, VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION,
    VPX_ERROR_RESILIENT_DEFAULT, VPX_FRAME_IS_KEY, vpx_codec_control_, vpx_codec_ctx_t,
    vpx_codec_dec_cfg_t, vpx_codec_dec_init_ver, vpx_codec_decode, vpx_codec_destroy,
    vpx_codec_enc_cfg_t, vpx_codec_enc_config_default, vpx_codec_enc_config_set,
    vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t, vpx_codec_error,
    vpx_codec_get_cx_data, vpx_codec_get_frame, vpx_codec_vp8_cx, vpx_codec_vp8_dx, vpx_image_t,
    vpx_img_wrap, vpx_kf_mode, vpx_rational, vpx_rc_mode,
};

/// Units of time stamps and durations in a second: RTP's clock for pictures.
pub(super) const TICKS_PER_S: u32 = 90_000;

/// What an encoder is asked for.
pub(super) struct Settings {
    /// Pixels across and down, even.
    pub(super) size: (u32, u32),
    pub(super) bitrate_bps: u32,
    /// Finest and coarsest quantisation, 0..=63.
    pub(super) quantizers: (u32, u32),
    /// Largest key frame, in percent of the mean frame.
    pub(super) key_frame_percent_max: u32,
    /// How much quality is given for speed: 0 to 16.
    pub(super) speed: u32,
    /// Text and windows rather than a camera.
    pub(super) is_screen: bool,
}

/// The planes of a picture, tight: luma, then both colours of half its sides.
pub(super) type Planes<'a> = [&'a [u8]; 3];

/// A running encoder or decoder.
struct Context(Box<vpx_codec_ctx_t>);

// SAFETY: libvpx keeps all of a context's state behind it and uses no thread-local data; `&mut` excludes concurrent use.
unsafe impl Send for Context {}

impl Context {
    /// A context that no codec was made for yet.
    fn blank() -> Box<MaybeUninit<vpx_codec_ctx_t>> {
        Box::new(MaybeUninit::zeroed())
    }

    /// # Safety
    /// `ctx` was filled by a successful `*_init_ver`.
    unsafe fn initialised(ctx: Box<MaybeUninit<vpx_codec_ctx_t>>) -> Self {
        // SAFETY: zeroed, then filled by the library, as the caller says.
        Self(unsafe { ctx.assume_init() })
    }

    fn check(&mut self, result: vpx_codec_err_t) -> Result<(), String> {
        if result == VPX_CODEC_OK {
            return Ok(());
        }
        // SAFETY: the context is initialised; the text is static and ends with a zero.
        let words = unsafe { CStr::from_ptr(vpx_codec_error(&mut *self.0)) };
        Err(words.to_string_lossy().into_owned())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: initialised once, destroyed once.
        unsafe { vpx_codec_destroy(&mut *self.0) };
    }
}

/// Pictures to VP8.
pub(super) struct Encoder {
    context: Context,
    config: vpx_codec_enc_cfg_t,
    size: (u32, u32),
}

// SAFETY: the configuration's pointers (two-pass statistics) are null: nothing is shared.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn open(settings: &Settings) -> Result<Self, String> {
        let mut config = MaybeUninit::<vpx_codec_enc_cfg_t>::zeroed();
        // SAFETY: the library fills the whole structure when it says so; before, nothing of it is read.
        let mut config = unsafe {
            let result = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), config.as_mut_ptr(), 0);
            if result != VPX_CODEC_OK {
                return Err("no default settings".to_owned());
            }
            config.assume_init()
        };
        (config.g_w, config.g_h) = settings.size;
        config.g_threads = 1;
        config.g_timebase = vpx_rational {
            num: 1,
            den: c_int::try_from(TICKS_PER_S).expect("90,000"),
        };
        // A lost frame must not spoil how the next ones are read: they are read from a key frame on anyway, but a frame
        // that an SFU leaves out on purpose is lost too.
        config.g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
        config.g_lag_in_frames = 0;
        config.rc_end_usage = vpx_rc_mode::VPX_CBR;
        config.rc_target_bitrate = kilobits(settings.bitrate_bps);
        (config.rc_min_quantizer, config.rc_max_quantizer) = settings.quantizers;
        // The rest of the rate control is what browsers use in calls: half a second of buffer, frames left out below 30 %.
        config.rc_undershoot_pct = 100;
        config.rc_overshoot_pct = 15;
        config.rc_buf_initial_sz = 500;
        config.rc_buf_optimal_sz = 600;
        config.rc_buf_sz = 1_000;
        config.rc_dropframe_thresh = 30;
        config.rc_resize_allowed = 0;
        // Every key frame costs as much as ten others: on demand only.
        config.kf_mode = vpx_kf_mode::VPX_KF_DISABLED;
        let version = c_int::try_from(VPX_ENCODER_ABI_VERSION).expect("a small number");
        let mut context = Context::blank();
        // SAFETY: a zeroed context, a valid configuration that the library copies.
        let mut context = unsafe {
            let result = vpx_codec_enc_init_ver(
                context.as_mut_ptr(),
                vpx_codec_vp8_cx(),
                &config,
                0,
                version,
            );
            if result != VPX_CODEC_OK {
                return Err(format!("it did not start ({result:?})"));
            }
            Context::initialised(context)
        };
        let speed = c_int::try_from(settings.speed.min(16)).expect("at most 16");
        for (control, value) in [
            // Negative: as fast as that at most, adapted to the time at hand.
            (VP8E_SET_CPUUSED, -speed),
            (VP8E_SET_STATIC_THRESHOLD, 1),
            (
                VP8E_SET_MAX_INTRA_BITRATE_PCT,
                c_int::try_from(settings.key_frame_percent_max).unwrap_or(c_int::MAX),
            ),
            (
                VP8E_SET_SCREEN_CONTENT_MODE,
                c_int::from(settings.is_screen),
            ),
        ] {
            // SAFETY: each of these controls takes one int (vp8cx.h).
            let result = unsafe { vpx_codec_control_(&mut *context.0, control as c_int, value) };
            context.check(result)?;
        }
        Ok(Self {
            context,
            config,
            size: settings.size,
        })
    }

    /// Aims at another bitrate from the next picture on; no key frame follows.
    pub(super) fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), String> {
        self.config.rc_target_bitrate = kilobits(bitrate_bps);
        // SAFETY: the same configuration with another rate; the library copies it.
        let result = unsafe { vpx_codec_enc_config_set(&mut *self.context.0, &self.config) };
        self.context.check(result)
    }

    /// Encodes one picture of the size the encoder was opened for: its frame and whether it is a key frame, or none when
    /// the rate control left it out. `at` and `duration` count [`TICKS_PER_S`]; `at` must grow.
    pub(super) fn encode(
        &mut self,
        planes: Planes<'_>,
        at: u64,
        duration: u32,
        key_frame: bool,
    ) -> Result<Option<(Vec<u8>, bool)>, String> {
        let (width, height) = self.size;
        let luma = width as usize * height as usize;
        let wanted = [luma, luma / 4, luma / 4];
        assert!(
            planes
                .iter()
                .zip(wanted)
                .all(|(plane, wanted)| plane.len() >= wanted),
            "planes of the opened size"
        );
        let mut image = MaybeUninit::<vpx_image_t>::zeroed();
        // SAFETY: the library fills the structure and reads nothing through the pointers before the encoding; they then
        // point to planes of the asserted size that outlive the call. It only reads them (they are const in the encoder).
        let image = unsafe {
            let data = planes[0].as_ptr().cast_mut();
            if vpx_img_wrap(image.as_mut_ptr(), VPX_IMG_FMT_I420, width, height, 1, data).is_null()
            {
                return Err("it refused the picture's size".to_owned());
            }
            let mut image = image.assume_init();
            for (index, plane) in planes.iter().enumerate() {
                image.planes[index] = plane.as_ptr().cast_mut();
                let across = if index == 0 { width } else { width / 2 };
                image.stride[index] = c_int::try_from(across).expect("at most 16,383");
            }
            image
        };
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let flags: c_long = if key_frame {
            VPX_EFLAG_FORCE_KF.into()
        } else {
            0
        };
        // SAFETY: initialised context, valid image; nothing of the image is kept.
        let result = unsafe {
            vpx_codec_encode(
                &mut *self.context.0,
                &image,
                at,
                c_ulong::from(duration),
                flags,
                c_ulong::from(VPX_DL_REALTIME),
            )
        };
        self.context.check(result)?;
        Ok(self.packet())
    }

    /// The frame of the last picture. Without look-ahead there is one at most.
    fn packet(&mut self) -> Option<(Vec<u8>, bool)> {
        let mut iterator = null();
        loop {
            // SAFETY: the iterator is the library's own; a packet lives until the next encoding.
            let packet =
                unsafe { vpx_codec_get_cx_data(&mut *self.context.0, &mut iterator).as_ref()? };
            if packet.kind != VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: of this kind the union holds a frame, `buf` has `sz` bytes.
            let (bytes, flags) = unsafe {
                let frame = packet.data.frame;
                let bytes = std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize);
                (bytes.to_vec(), frame.flags)
            };
            return Some((bytes, flags & VPX_FRAME_IS_KEY != 0));
        }
    }
}

/// VP8 to pictures.
pub(super) struct Decoder(Context);

/// A decoded picture inside the library's memory.
pub(super) struct Decoded<'a> {
    /// Pixels across and down, as shown.
    pub(super) size: (u32, u32),
    /// Rows of luma, then of both colours: bytes, and how far a row is from the next.
    pub(super) planes: [(&'a [u8], usize); 3],
}

impl Decoder {
    pub(super) fn open() -> Result<Self, String> {
        let config = vpx_codec_dec_cfg_t {
            threads: 1,
            w: 0,
            h: 0,
        };
        let version = c_int::try_from(VPX_DECODER_ABI_VERSION).expect("a small number");
        let mut context = Context::blank();
        // SAFETY: a zeroed context, a valid configuration that the library copies.
        unsafe {
            let result = vpx_codec_dec_init_ver(
                context.as_mut_ptr(),
                vpx_codec_vp8_dx(),
                &config,
                0,
                version,
            );
            if result != VPX_CODEC_OK {
                return Err(format!("it did not start ({result:?})"));
            }
            Ok(Self(Context::initialised(context)))
        }
    }

    /// Decodes one frame, at least one byte; none when it shows no picture. `Err`: the frame is damaged.
    pub(super) fn decode(&mut self, frame: &[u8]) -> Result<Option<Decoded<'_>>, String> {
        let length = c_uint::try_from(frame.len()).map_err(|_| "it is too long".to_owned())?;
        // SAFETY: initialised context; the library reads `length` bytes during the call and keeps none.
        let result =
            unsafe { vpx_codec_decode(&mut *self.0.0, frame.as_ptr(), length, null_mut(), 0) };
        self.0.check(result)?;
        let mut corrupted: c_int = 0;
        // SAFETY: this control takes a pointer to an int (vp8dx.h), written during the call.
        let result = unsafe {
            vpx_codec_control_(
                &mut *self.0.0,
                VP8D_GET_FRAME_CORRUPTED as c_int,
                &raw mut corrupted,
            )
        };
        self.0.check(result)?;
        if corrupted != 0 {
            return Err("part of it is missing".to_owned());
        }
        let mut iterator = null();
        // SAFETY: the image and its planes are the library's until the next call, which `&mut` of the result excludes.
        let image = unsafe { vpx_codec_get_frame(&mut *self.0.0, &mut iterator) };
        if image.is_null() {
            return Ok(None);
        }
        // SAFETY: not null; single fields are read, so that no enum of the library is taken for one of ours.
        let ((width, height), pointers, strides) = unsafe {
            (
                ((*image).d_w, (*image).d_h),
                (*image).planes,
                (*image).stride,
            )
        };
        let mut planes: [(&[u8], usize); 3] = [(&[], 0); 3];
        for (index, plane) in planes.iter_mut().enumerate() {
            let side = |pixels: u32| {
                let pixels = pixels as usize;
                if index == 0 {
                    pixels
                } else {
                    pixels.div_ceil(2)
                }
            };
            let (across, down) = (side(width), side(height));
            let stride = usize::try_from(strides[index]).unwrap_or(0);
            if pointers[index].is_null() || across == 0 || down == 0 || stride < across {
                return Err("its picture has no shape".to_owned());
            }
            let length = (down - 1) * stride + across;
            // SAFETY: the library lays a plane out as `down` rows, `stride` apart, of at least `across` bytes.
            *plane = (
                unsafe { std::slice::from_raw_parts(pointers[index], length) },
                stride,
            );
        }
        Ok(Some(Decoded {
            size: (width, height),
            planes,
        }))
    }
}

/// The library counts in thousands; less than one would switch its rate control off.
fn kilobits(bitrate_bps: u32) -> c_uint {
    (bitrate_bps / 1_000).max(1)
}
