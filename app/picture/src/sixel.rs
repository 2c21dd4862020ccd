//! Sixel pictures: DEC's way of pixels (VT330/VT340 programmer reference, chapter 14), with a fixed palette.
//!
//! The palette is the same in every picture and the dithering stands still, so that what does not change is written the
//! same each time. Six rows make a band; in a band each colour is written once, from the left, over what is there.

use crate::palette::BAYER;

/// Levels of red, green and blue: 120 colours. Terminals have 256 registers or more (foot, WezTerm, mlterm, xterm as it
/// is configured for sixel); more colours are more passes over each band.
const LEVELS: [u32; 3] = [5, 6, 4];
/// Colours of the palette.
const COLOURS: usize = (LEVELS[0] * LEVELS[1] * LEVELS[2]) as usize;
/// Rows of a band.
pub(crate) const BAND: usize = 6;
/// A run shorter than this is shorter written out.
const RUN_MIN: usize = 4;

/// The palette's entries of a picture of red, green and blue, `width` pixels across. Dithered by the place in it, so that
/// a pixel that is drawn several times as large stays one run of one colour.
pub(crate) fn entries(rgb: &[u8], width: usize) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let rows = pixels.chunks(width).enumerate();
    rows.flat_map(|(y, row)| {
        let thresholds = BAYER[y % 4].iter().cycle();
        row.iter()
            .zip(thresholds)
            .map(|(pixel, threshold)| entry(*pixel, i32::from(*threshold)))
    })
    .collect()
}

fn entry(pixel: [u8; 3], threshold: i32) -> u8 {
    let mut entry = 0;
    for (level, steps) in pixel.into_iter().zip(LEVELS) {
        let steps = steps as i32 - 1;
        // Thresholds are in thirty-seconds of a step, the middle of a step half of one.
        let level = (i32::from(level) * steps * 32 / 255 + threshold + 16).max(0) / 32;
        entry = entry * (steps + 1) + level.min(steps);
    }
    entry as u8
}

/// A part of a picture in entries of the palette.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) entries: &'a [u8],
    /// Pixels of a row of the whole picture.
    pub(crate) stride: usize,
    /// Upper left pixel.
    pub(crate) at: (usize, usize),
    /// Pixels across and down; inside the picture.
    pub(crate) size: (usize, usize),
}

/// Red, green and blue of an entry, in per cent as sixel wants them.
fn percent(entry: usize) -> [u32; 3] {
    let entry = entry as u32;
    let [_, green, blue] = LEVELS;
    let steps = [entry / (green * blue), entry / blue % green, entry % blue];
    [0, 1, 2].map(|c: usize| (steps[c] * 100 + (LEVELS[c] - 1) / 2) / (LEVELS[c] - 1))
}

/// Appends one picture, drawn at the cursor.
pub(crate) fn encode(part: Part<'_>, out: &mut Vec<u8>) {
    let (width, height) = part.size;
    let entries: Vec<u8> = (0..height)
        .flat_map(|y| &part.entries[(part.at.1 + y) * part.stride + part.at.0..][..width])
        .copied()
        .collect();
    let mut is_used = [false; COLOURS];
    for &entry in &entries {
        is_used[usize::from(entry)] = true;
    }
    // Pixels that are not drawn stay as they are (P2 = 1); the size in pixels, which are square.
    push(out, format_args!("\x1bP0;1;0q\"1;1;{width};{height}"));
    for entry in (0..COLOURS).filter(|&entry| is_used[entry]) {
        let [red, green, blue] = percent(entry);
        push(out, format_args!("#{entry};2;{red};{green};{blue}"));
    }
    for (number, band) in entries.chunks(width * BAND).enumerate() {
        if number > 0 {
            out.push(b'-');
        }
        encode_band(band, width, out);
    }
    out.extend_from_slice(b"\x1b\\");
}

fn encode_band(band: &[u8], width: usize, out: &mut Vec<u8>) {
    let mut bits = vec![0u8; COLOURS * width];
    let mut last = [None; COLOURS];
    for (y, row) in band.chunks(width).enumerate() {
        for (x, &entry) in row.iter().enumerate() {
            bits[usize::from(entry) * width + x] |= 1 << y;
            last[usize::from(entry)] = last[usize::from(entry)].max(Some(x));
        }
    }
    let mut is_first = true;
    for (entry, last) in last.iter().enumerate() {
        let Some(last) = *last else { continue };
        if !std::mem::take(&mut is_first) {
            out.push(b'$');
        }
        push(out, format_args!("#{entry}"));
        let sixels = &bits[entry * width..=entry * width + last];
        for run in sixels.chunk_by(|a, b| a == b) {
            let sixel = b'?' + run[0];
            if run.len() >= RUN_MIN {
                push(out, format_args!("!{}", run.len()));
                out.push(sixel);
            } else {
                out.extend(std::iter::repeat_n(sixel, run.len()));
            }
        }
    }
}

fn push(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Memory takes all.
    let _ = out.write_fmt(words);
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a terminal understands of one sixel picture: its pixels, row by row, `None` where none was drawn.
    #[derive(Debug, Default, PartialEq)]
    pub(crate) struct Decoded {
        pub(crate) width: usize,
        pub(crate) height: usize,
        pub(crate) pixels: Vec<Option<[u8; 3]>>,
        /// Bytes of it, the string terminator included.
        pub(crate) bytes: usize,
    }

    /// A decoder of its own, from the manual: whatever is no sixel is an error.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
        let end = bytes.windows(2).position(|two| two == b"\x1b\\");
        let end = end.ok_or("no end")?;
        let text = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
        let text = text.strip_prefix("\x1bP0;1;0q\"").ok_or("no beginning")?;
        let data = text.find('#').unwrap_or(text.len());
        let raster: Vec<usize> = numbers(&text[..data])?;
        let [1, 1, width, height] = raster[..] else {
            return Err(format!("raster {raster:?}"));
        };
        let mut decoded = Decoded {
            width,
            height,
            pixels: vec![None; width * height],
            bytes: end + 2,
        };
        let (mut palette, mut colour) = (std::collections::BTreeMap::new(), None);
        let (mut x, mut band, mut run) = (0, 0, 1);
        let mut rest = &text[data..];
        while let Some(kind) = rest.chars().next() {
            rest = &rest[1..];
            let word = rest
                .find(|c: char| !c.is_ascii_digit() && c != ';')
                .unwrap_or(rest.len());
            match kind {
                '#' => {
                    let found = numbers(&rest[..word])?;
                    rest = &rest[word..];
                    if let [number, 2, red, green, blue] = found[..] {
                        let level = |percent: usize| ((percent * 255 + 50) / 100) as u8;
                        palette.insert(number, [level(red), level(green), level(blue)]);
                    } else {
                        let [number] = found[..] else {
                            return Err(format!("colour {found:?}"));
                        };
                        colour = Some(*palette.get(&number).ok_or("an undefined colour")?);
                    }
                }
                '!' => {
                    let [length] = numbers(&rest[..word])?[..] else {
                        return Err("a run".into());
                    };
                    run = length;
                    rest = &rest[word..];
                }
                '$' => x = 0,
                '-' => (x, band) = (0, band + 1),
                '?'..='~' => {
                    let bits = kind as u8 - b'?';
                    for x in x..x + run {
                        for y in (0..BAND).filter(|y| bits >> y & 1 == 1) {
                            let place = (band * BAND + y) * width + x;
                            let inside = x < width && band * BAND + y < height;
                            let pixel = decoded.pixels.get_mut(place).filter(|_| inside);
                            *pixel.ok_or("outside of the raster")? = colour;
                        }
                    }
                    (x, run) = (x + run, 1);
                }
                other => return Err(format!("{other:?}")),
            }
        }
        Ok(decoded)
    }

    fn numbers(text: &str) -> Result<Vec<usize>, String> {
        let number = |part: &str| part.parse().map_err(|_| format!("{text:?}"));
        text.split(';').map(number).collect()
    }

    fn whole(entries: &[u8], width: usize, height: usize) -> Part<'_> {
        Part {
            entries,
            stride: width,
            at: (0, 0),
            size: (width, height),
        }
    }

    fn sent_whole(rgb: &[u8], width: usize, height: usize) -> Decoded {
        sent(whole(&entries(rgb, width), width, height))
    }

    fn sent(part: Part<'_>) -> Decoded {
        let mut out = Vec::new();
        encode(part, &mut out);
        let decoded = decode(&out).expect("a sixel picture");
        assert_eq!(decoded.bytes, out.len());
        decoded
    }

    #[test]
    fn colours_of_the_palette_come_out_as_themselves_and_others_as_their_mean() {
        for colour in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]] {
            let rgb = [colour; 64].concat();
            let decoded = sent_whole(&rgb, 8, 8);
            assert!(decoded.pixels.iter().all(|pixel| *pixel == Some(colour)));
        }
        let rgb = [[100u8, 140, 70]; 32 * 32].concat();
        let decoded = sent_whole(&rgb, 32, 32);
        for (channel, wanted) in [100, 140, 70].into_iter().enumerate() {
            let levels = (decoded.pixels.iter()).map(|pixel| i32::from(pixel.unwrap()[channel]));
            let mean = levels.sum::<i32>() / (32 * 32);
            assert!(
                (mean - wanted).abs() <= 6,
                "{mean} for {wanted} of {channel}"
            );
        }
    }

    #[test]
    fn a_part_is_drawn_as_it_stands_in_the_whole() {
        let rgb: Vec<u8> = (0..40 * 30 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let all = sent_whole(&rgb, 40, 30);
        let part = sent(Part {
            entries: &entries(&rgb, 40),
            stride: 40,
            at: (13, 7),
            size: (20, 11),
        });
        for y in 0..11 {
            for x in 0..20 {
                assert_eq!(
                    part.pixels[y * 20 + x],
                    all.pixels[(y + 7) * 40 + x + 13],
                    "{x} {y}"
                );
            }
        }
    }

    #[test]
    fn an_even_picture_is_short() {
        let rgb = vec![255; 600 * 60 * 3];
        let mut out = Vec::new();
        encode(whole(&entries(&rgb, 600), 600, 60), &mut out);
        assert!(out.len() < 160, "{} bytes", out.len());
    }

    proptest! {
        #[test]
        fn every_pixel_is_drawn_near_its_colour(
            width in 1usize..40, height in 1usize..20, seed in any::<u32>(),
        ) {
            let rgb: Vec<u8> = (0..width * height * 3)
                .map(|i| ((i as u32 + 1).wrapping_mul(seed | 1) >> 13) as u8)
                .collect();
            let decoded = sent_whole(&rgb, width, height);
            prop_assert_eq!((decoded.width, decoded.height), (width, height));
            for (pixel, wanted) in decoded.pixels.iter().zip(rgb.as_chunks::<3>().0) {
                let pixel = pixel.expect("every pixel is drawn");
                for channel in 0..3 {
                    // At most one step of the palette away.
                    let step = 255 / (LEVELS[channel] as i32 - 1) + 2;
                    let off = i32::from(pixel[channel]) - i32::from(wanted[channel]);
                    prop_assert!(off.abs() <= step, "{:?} for {:?}", pixel, wanted);
                }
            }
        }
    }
}
