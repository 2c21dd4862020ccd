use proptest::prelude::*;

use super::*;

fn format(width: u32, height: u32, format: FrameFormat, rate_fps: u32) -> CameraFormat {
    CameraFormat::new(Resolution::new(width, height), format, rate_fps)
}

#[test]
fn the_form_nearest_to_360p_at_30_is_chosen() {
    let webcam = [
        format(1920, 1080, FrameFormat::MJPEG, 30),
        format(1280, 720, FrameFormat::YUYV, 10),
        format(640, 480, FrameFormat::YUYV, 30),
        format(640, 480, FrameFormat::MJPEG, 30),
        format(640, 360, FrameFormat::MJPEG, 30),
        format(640, 360, FrameFormat::YUYV, 15),
        format(320, 240, FrameFormat::YUYV, 30),
    ];
    assert_eq!(choose(&webcam), Some(webcam[4]));
    assert_eq!(choose(&webcam[..4]), Some(webcam[2]));
    assert_eq!(choose(&webcam[..2]), Some(webcam[1]));
    assert_eq!(choose(&[format(8000, 6000, FrameFormat::MJPEG, 30)]), None);
    assert_eq!(choose(&[]), None);
}

#[test]
fn errors_say_what_to_do() {
    let open =
        |words: &str| NokhwaError::OpenDeviceError("0".to_owned(), format!("V4L2 Error: {words}"));
    for (error, want) in [
        (
            open("Device or resource busy (os error 16)"),
            "close that program",
        ),
        (open("Permission denied (os error 13)"), "group \"video\""),
        (
            open("No such file or directory (os error 2)"),
            "no camera found",
        ),
        (
            NokhwaError::ReadFrameError("No such device (os error 19)".to_owned()),
            "attach it again",
        ),
        (
            NokhwaError::ReadFrameError("Input/output error (os error 5)".to_owned()),
            "attach it again",
        ),
        (
            NokhwaError::GeneralError("odd".to_owned()),
            "the camera failed: Error: odd",
        ),
    ] {
        let message = device_error(&error).to_string();
        assert!(message.contains(want), "{message}");
    }
}

#[test]
fn without_a_camera_the_message_names_the_other_choices() {
    match Camera::open(Some("no camera has this name")).err() {
        Some(DeviceError::NoDevice { .. }) => {
            let message = Camera::open(None).err().expect("there is none").to_string();
            assert!(
                message.contains("no camera found") && message.contains("--camera test"),
                "{message}"
            );
        }
        Some(DeviceError::NoSuchName { available, .. }) => assert!(!available.is_empty()),
        other => panic!("{other:?}"),
    }
}

/// Red at the top, blue at the bottom, in every form.
#[test]
fn every_form_gives_the_same_picture() {
    const RED: [u8; 3] = [81, 90, 240];
    const BLUE: [u8; 3] = [41, 240, 110];
    let (width, height) = (32, 16);
    let yuv = |row: usize| if row < height / 2 { RED } else { BLUE };
    let yuyv: Vec<u8> = (0..height)
        .flat_map(|row| {
            let [y, u, v] = yuv(row);
            [y, u, y, v].repeat(width / 2)
        })
        .collect();
    let luma = (0..height).flat_map(|row| [yuv(row)[0]].repeat(width));
    let chroma =
        (0..height / 2).flat_map(|row| [yuv(row * 2)[1], yuv(row * 2)[2]].repeat(width / 2));
    let nv12: Vec<u8> = luma.chain(chroma).collect();
    let rgb: Vec<u8> = (0..height)
        .flat_map(|row| {
            if row < height / 2 {
                [255, 0, 0]
            } else {
                [0, 0, 255]
            }
            .repeat(width)
        })
        .collect();
    let bgr: Vec<u8> = rgb
        .chunks(3)
        .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]])
        .collect();
    for pixels in [
        Pixels::Yuyv(&yuyv),
        Pixels::Nv12(&nv12),
        Pixels::Rgb(&rgb, Order::Rgb),
        Pixels::Rgb(&bgr, Order::Bgr),
    ] {
        let mut picture = Picture::grey(width as u32, height as u32, 0).expect("allowed");
        fill(&mut picture, &pixels, (width, height), &mut None).expect("whole");
        for row in 0..height {
            let at = (row / 2) * width / 2;
            let got = [
                picture.y[row * width + 5],
                picture.u[at + 3],
                picture.v[at + 3],
            ];
            assert!(
                got.iter()
                    .zip(yuv(row))
                    .all(|(got, want)| got.abs_diff(want) <= 2),
                "row {row}: {got:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn bytes_of_any_length_are_a_picture_or_refused(across in 16usize..50, down in 16usize..50, length in 0usize..8_000, form in 0u8..4) {
        let bytes = vec![7; length];
        let pixels = match form {
            0 => Pixels::Grey(&bytes),
            1 => Pixels::Nv12(&bytes),
            2 => Pixels::Rgb(&bytes, Order::Rgb),
            _ => Pixels::Yuyv(&bytes),
        };
        let (width, height) = (across as u32 & !1, down as u32 & !1);
        let mut picture = Picture::grey(width, height, 0).expect("allowed");
        let _ = fill(&mut picture, &pixels, (across, down), &mut None);
    }
}
