//! How good a screen is: PSNR in red, green and blue, SSIM in luma, at two by four points a cell.

use crate::{COLUMNS, ROWS};

/// Points of a cell, across and down.
pub(crate) const POINTS: (usize, usize) = (2, 4);

/// Red, green, blue.
pub(crate) type Rgb = [u8; 3];

/// Points of a row.
const WIDTH: usize = COLUMNS as usize * POINTS.0;

/// What the terminal shows, as points of the picture, row by row; `skip` rows of the picture are above the screen.
pub(crate) fn pixels(screen: &vt100::Screen, skip: usize) -> Vec<Rgb> {
    let palette = palette();
    let rgb = |colour, default| match colour {
        vt100::Color::Default => default,
        vt100::Color::Idx(entry) => palette[usize::from(entry)],
        vt100::Color::Rgb(r, g, b) => [r, g, b],
    };
    let mut out = vec![[0; 3]; WIDTH * usize::from(ROWS) * POINTS.1];
    for row in skip..usize::from(ROWS) {
        for column in 0..usize::from(COLUMNS) {
            let cell = screen.cell((row - skip) as u16, column as u16);
            let cell = cell.expect("on the screen");
            let mask = mask(cell.contents().chars().next().unwrap_or(' '));
            let foreground = rgb(cell.fgcolor(), [229; 3]);
            let background = rgb(cell.bgcolor(), [0; 3]);
            for point in 0..POINTS.0 * POINTS.1 {
                let (x, y) = (point % POINTS.0, point / POINTS.0);
                let inked = mask >> point & 1 == 1;
                out[(row * POINTS.1 + y) * WIDTH + column * POINTS.0 + x] =
                    if inked { foreground } else { background };
            }
        }
    }
    out
}

/// The points a glyph inks. Only what the compared programs draw.
fn mask(glyph: char) -> u8 {
    const QUADRANTS: &str = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█";
    let quadrants = QUADRANTS
        .chars()
        .position(|known| known == glyph)
        .unwrap_or(0);
    (0..8)
        .filter(|point| quadrants >> (point / 4 * 2 + point % 2) & 1 == 1)
        .map(|point| 1 << point)
        .sum()
}

fn palette() -> [Rgb; 256] {
    let mut entries = [[0; 3]; 256];
    let classic: [u32; 16] = [
        0, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5, 0x7f_7f7f,
        0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    for (entry, rgb) in entries.iter_mut().zip(classic) {
        *entry = [(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8];
    }
    let levels = [0, 95, 135, 175, 215, 255];
    for index in 0..216 {
        entries[16 + index] = [index / 36, index / 6 % 6, index % 6].map(|step| levels[step]);
    }
    for grey in 0..24 {
        entries[232 + usize::from(grey)] = [8 + 10 * grey; 3];
    }
    entries
}

/// Mean squared error over all colours.
fn mse(a: &[Rgb], b: &[Rgb]) -> f64 {
    let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
    let sum: f64 = a
        .as_flattened()
        .iter()
        .zip(b.as_flattened())
        .map(square)
        .sum();
    sum / (a.len() * 3) as f64
}

fn psnr(mse: f64) -> f64 {
    10.0 * (255.0 * 255.0 / mse).log10()
}

/// Mean SSIM of the luma, gaussian window of 1.5 points.
fn ssim(a: &[Rgb], b: &[Rgb]) -> f64 {
    let luma = |picture: &[Rgb]| -> Vec<f32> {
        let weigh =
            |p: &Rgb| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        picture.iter().map(weigh).collect()
    };
    let (x, y) = (luma(a), luma(b));
    let product =
        |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let blur = |picture: &[f32]| blur(picture, WIDTH);
    let (mx, my) = (blur(&x), blur(&y));
    let (xx, yy, xy) = (
        blur(&product(&x, &x)),
        blur(&product(&y, &y)),
        blur(&product(&x, &y)),
    );
    let mut sum = 0.0;
    for i in 0..x.len() {
        let (vx, vy) = (xx[i] - mx[i] * mx[i], yy[i] - my[i] * my[i]);
        let covariance = xy[i] - mx[i] * my[i];
        let (c1, c2) = (6.5025, 58.5225);
        let upper = (2.0 * mx[i] * my[i] + c1) * (2.0 * covariance + c2);
        sum += f64::from(upper / ((mx[i] * mx[i] + my[i] * my[i] + c1) * (vx + vy + c2)));
    }
    sum / x.len() as f64
}

fn blur(picture: &[f32], width: usize) -> Vec<f32> {
    const RADIUS: isize = 6;
    let weights: Vec<f32> = (-RADIUS..=RADIUS)
        .map(|off| (-(off * off) as f32 / (2.0 * 1.5 * 1.5)).exp())
        .collect();
    let sum: f32 = weights.iter().sum();
    let height = picture.len() / width;
    let fold = |at: isize, size: usize| -> usize {
        let size = size as isize;
        let at = if at < 0 { -at - 1 } else { at };
        (if at >= size { 2 * size - 1 - at } else { at }) as usize
    };
    let mut across = vec![0.0; picture.len()];
    let mut down = vec![0.0; picture.len()];
    for (y, row) in picture.chunks_exact(width).enumerate() {
        for x in 0..width {
            let taps = (-RADIUS..=RADIUS).zip(&weights);
            across[y * width + x] = taps
                .map(|(off, w)| row[fold(x as isize + off, width)] * w)
                .sum::<f32>()
                / sum;
        }
    }
    for y in 0..height {
        for (off, weight) in (-RADIUS..=RADIUS).zip(&weights) {
            let from = fold(y as isize + off, height) * width;
            for x in 0..width {
                down[y * width + x] += across[from + x] * weight / sum;
            }
        }
    }
    down
}

/// Compares shown pictures with the source, a few frames before and after allowed for: players start late.
#[derive(Default)]
pub(crate) struct Score {
    mse: f64,
    ssim: f64,
    count: usize,
}

/// Frames that a player may be early or late.
const LAG_MAX: isize = 8;

impl Score {
    /// Adds `shown` at about source picture `index`, without the `skip` upper rows.
    pub(crate) fn add(&mut self, shown: &[Rgb], source: &[Vec<Rgb>], index: usize, skip: usize) {
        let from = skip * POINTS.1 * WIDTH;
        let near = (-LAG_MAX..=LAG_MAX).filter_map(|lag| {
            let picture = source.get(usize::try_from(index as isize + lag).ok()?)?;
            Some((mse(&shown[from..], &picture[from..]), picture))
        });
        if let Some((error, picture)) = near.min_by(|a, b| a.0.total_cmp(&b.0)) {
            self.mse += error;
            self.ssim += ssim(&shown[from..], &picture[from..]);
            self.count += 1;
        }
    }

    pub(crate) fn psnr(&self) -> f64 {
        psnr(self.mse / self.count.max(1) as f64)
    }

    pub(crate) fn ssim(&self) -> f64 {
        self.ssim / self.count.max(1) as f64
    }
}
