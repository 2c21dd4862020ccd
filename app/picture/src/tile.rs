//! One picture on the screen: its samples, what its cells show of them, and how far that is from right.

use crate::denoise::Denoiser;
use crate::encoder::EncoderOptions;
use crate::glyph::QUADRANTS;
use crate::mono::Mono;
use crate::palette::{BAYER, Colours, dither_strength, xterm};
use crate::picture::PictureRef;
use crate::rate::Gains;
use crate::scale::{LEVEL, Planes, Scaler};
use crate::screen::{Cell, Colour, Grid, Rect};
use crate::search::Choice;

/// Error of a cell whose content is unknown, on top of what it would be in black: 48 levels everywhere, so that whatever
/// can be drawn is better.
const UNKNOWN_ERROR: f32 = 4.0 * 7.0 * 48.0 * 48.0;
/// How much more an error counts for each picture it stays: no ghost outlives a second.
const URGENCY_PER_AGE: f32 = 0.25;
/// A cell's floor is believed for this many pictures, then looked for anew.
const FLOOR_PICTURES: usize = 8;

/// State of a tile: one entry a cell, row by row, in all but the sample planes.
#[derive(Debug)]
pub(crate) struct TileState {
    pub(crate) rect: Rect,
    scaler: Scaler,
    denoiser: Denoiser,
    scaled: Planes,
    /// What should be shown: samples of each colour, two across and two down in a cell.
    target: [Vec<u8>; 3],
    /// What the cells show.
    shown: [Vec<u8>; 3],
    /// The encoder drew the cell, and nothing else since.
    known: Vec<bool>,
    /// Pictures for which the cell was wrong.
    age: Vec<u8>,
    /// Least error any choice had when last looked for.
    pub(crate) floor: Vec<f32>,
    /// Error of what is shown.
    pub(crate) error: Vec<f32>,
    /// What coding the cell could gain, urgency included; 0 when it is right enough.
    pub(crate) gain: Vec<f32>,
    /// How much its error counts.
    pub(crate) urgency: Vec<f32>,
    row_error: Vec<i32>,
    /// Without colour: the glyph each cell shows, and the one it should.
    drawn: Vec<Option<char>>,
    pub(crate) wanted: Vec<char>,
}

impl TileState {
    /// A tile whose cells show what `grid` says.
    pub(crate) fn new(rect: Rect, grid: &Grid) -> Self {
        let cells = usize::from(rect.columns) * usize::from(rect.rows);
        let plane = || vec![0; cells * 4];
        let mut tile = Self {
            rect,
            scaler: Scaler::default(),
            denoiser: Denoiser::default(),
            scaled: Planes::default(),
            target: [plane(), plane(), plane()],
            shown: [plane(), plane(), plane()],
            known: vec![false; cells],
            age: vec![0; cells],
            floor: vec![0.0; cells],
            error: vec![0.0; cells],
            gain: vec![0.0; cells],
            urgency: vec![1.0; cells],
            row_error: Vec::new(),
            drawn: vec![None; cells],
            wanted: vec![' '; cells],
        };
        tile.adopt(grid);
        tile
    }

    /// The place of a cell in this tile's lists.
    pub(crate) fn place(&self, column: u16, row: u16) -> usize {
        usize::from(row - self.rect.y) * usize::from(self.rect.columns)
            + usize::from(column - self.rect.x)
    }

    /// Whether the encoder drew the cell at `place`, and nothing else since.
    pub(crate) fn known(&self, place: usize) -> bool {
        self.known[place]
    }

    /// Takes over what cells show.
    pub(crate) fn adopt(&mut self, grid: &Grid) {
        let palette = xterm();
        let rgb = |colour| match colour {
            Colour::Default => [0; 3],
            Colour::Palette(entry) => palette[usize::from(entry)],
            Colour::Rgb(rgb) => rgb,
        };
        for row in self.rect.y..self.rect.y + self.rect.rows {
            for column in self.rect.x..self.rect.x + self.rect.columns {
                let place = self.place(column, row);
                self.known[place] = false;
                self.drawn[place] = None;
                self.floor[place] = 0.0;
                if let Some(cell) = grid.cell(column, row) {
                    self.draw(place, &cell, rgb(cell.foreground), rgb(cell.background));
                }
            }
        }
    }

    /// The cell at `place` shows `cell`, whose colours look like this.
    fn draw(&mut self, place: usize, cell: &Cell, foreground: [u8; 3], background: [u8; 3]) {
        self.known[place] = true;
        self.drawn[place] = Some(cell.glyph);
        // A glyph of another kind is one without colour, for which the samples are not looked at.
        let mask = QUADRANTS.iter().position(|&glyph| glyph == cell.glyph);
        let mask = mask.unwrap_or(0);
        self.fill(place, |quadrant| {
            if mask >> quadrant & 1 == 1 {
                foreground
            } else {
                background
            }
        });
    }

    fn fill(&mut self, place: usize, colour: impl Fn(usize) -> [u8; 3]) {
        let samples = self.samples(place);
        for (quadrant, sample) in samples.into_iter().enumerate() {
            for (plane, level) in self.shown.iter_mut().zip(colour(quadrant)) {
                plane[sample] = level;
            }
        }
    }

    /// Places of a cell's four quadrants in the planes.
    fn samples(&self, place: usize) -> [usize; 4] {
        let columns = usize::from(self.rect.columns);
        let upper = place / columns * columns * 4 + place % columns * 2;
        let lower = upper + columns * 2;
        [upper, upper + 1, lower, lower + 1]
    }

    /// What the cell at `place` should show.
    pub(crate) fn quadrants(&self, place: usize) -> [[u8; 3]; 4] {
        let [red, green, blue] = &self.target;
        self.samples(place)
            .map(|sample| [red[sample], green[sample], blue[sample]])
    }

    /// The cell at `place` was coded: it now shows `choice` with these colours.
    pub(crate) fn coded(&mut self, place: usize, choice: &Choice, colours: [[u8; 3]; 2]) {
        let mask = usize::from(choice.mask);
        self.fill(place, |quadrant| colours[1 - (mask >> quadrant & 1)]);
        self.known[place] = true;
        self.age[place] = 0;
        self.error[place] = choice.distortion;
    }

    /// The cell at `place` was given the glyph it should show.
    pub(crate) fn coded_mono(&mut self, place: usize) {
        self.drawn[place] = Some(self.wanted[place]);
        self.known[place] = true;
        self.age[place] = 0;
        self.error[place] = 0.0;
    }

    /// Takes in the next picture and finds what each cell could gain. `turn` counts pictures.
    pub(crate) fn prepare(
        &mut self,
        picture: &PictureRef<'_>,
        options: &EncoderOptions,
        turn: usize,
    ) {
        let (across, down) = options.glyphs.samples(options.colours);
        let columns = usize::from(self.rect.columns) * across;
        let rows = usize::from(self.rect.rows) * down;
        self.scaler
            .scale(picture, (columns, rows), &mut self.scaled);
        if options.colours == Colours::None {
            self.measure_mono(options.mono(), columns);
        } else {
            self.aim(options.colours, columns);
            self.measure();
        }
        self.weigh(options.quality.threshold, turn);
    }

    /// Takes the filtered picture as target.
    fn aim(&mut self, colours: Colours, columns: usize) {
        let filtered = self.denoiser.filter(&self.scaled);
        let strength = dither_strength(colours);
        for (target, filtered) in self.target.iter_mut().zip(filtered) {
            if strength == 0 {
                for (target, &level) in target.iter_mut().zip(filtered) {
                    *target = ((level + LEVEL / 2) / LEVEL) as u8;
                }
            } else {
                dithered(target, filtered, columns, strength);
            }
        }
    }

    /// Finds from the errors what coding each cell could gain.
    fn weigh(&mut self, threshold: f32, turn: usize) {
        // Four samples, seven weights.
        let threshold = 4.0 * 7.0 * threshold * threshold;
        for place in 0..self.gain.len() {
            if place.wrapping_add(turn).is_multiple_of(FLOOR_PICTURES) {
                self.floor[place] = 0.0;
            }
            if !self.known[place] {
                self.error[place] += UNKNOWN_ERROR;
            }
            let above = self.error[place] - self.floor[place];
            let wrong = above > threshold;
            // The first picture for which a cell is wrong counts once, the next ones more.
            let urgency = 1.0 + URGENCY_PER_AGE * f32::from(self.age[place]);
            self.age[place] = if wrong {
                self.age[place].saturating_add(1)
            } else {
                0
            };
            self.gain[place] = if wrong { above * urgency } else { 0.0 };
            self.urgency[place] = urgency;
        }
    }

    fn measure_mono(&mut self, mono: Mono, columns: usize) {
        let filtered = self.denoiser.filter(&self.scaled);
        let width = usize::from(self.rect.columns);
        let cells = self.drawn.iter().enumerate();
        let cells = cells.map(|(place, &drawn)| (drawn, (place % width, place / width)));
        let (wanted, error) = (&mut self.wanted, &mut self.error);
        mono.measure(filtered, columns, cells, |place, glyph, off| {
            wanted[place] = glyph;
            error[place] = off;
        });
    }

    /// Finds the error of what each cell shows.
    fn measure(&mut self) {
        let columns = usize::from(self.rect.columns);
        self.row_error.resize(columns * 2, 0);
        for (row, errors) in self.error.chunks_exact_mut(columns).enumerate() {
            self.row_error.fill(0);
            for half in 0..2 {
                let start = (row * 2 + half) * columns * 2;
                for (weight, (target, shown)) in [2, 4, 1]
                    .into_iter()
                    .zip(self.target.iter().zip(&self.shown))
                {
                    let target = &target[start..start + columns * 2];
                    let shown = &shown[start..start + columns * 2];
                    for ((sum, &t), &s) in self.row_error.iter_mut().zip(target).zip(shown) {
                        let off = i16::from(t) - i16::from(s);
                        *sum += weight * i32::from(off) * i32::from(off);
                    }
                }
            }
            let (pairs, _) = self.row_error.as_chunks::<2>();
            for (error, [left, right]) in errors.iter_mut().zip(pairs) {
                *error = (left + right) as f32;
            }
        }
    }

    /// Counts the gains of all cells into `gains`.
    pub(crate) fn count(&self, gains: &mut Gains) {
        for &gain in &self.gain {
            gains.add(gain);
        }
    }
}

fn dithered(target: &mut [u8], filtered: &[i16], columns: usize, strength: i16) {
    let rows = target
        .chunks_exact_mut(columns)
        .zip(filtered.chunks_exact(columns));
    for (pattern, (target, filtered)) in BAYER.iter().cycle().zip(rows) {
        let samples = target.iter_mut().zip(filtered);
        for (&threshold, (target, &level)) in pattern.iter().cycle().zip(samples) {
            let level = (level + LEVEL / 2 + threshold * strength).clamp(0, 255 * LEVEL);
            *target = (level / LEVEL) as u8;
        }
    }
}
