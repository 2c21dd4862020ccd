//! Draws the call of a group into a virtual terminal and writes it as an SVG, the picture in the README:
//!
//! ```sh
//! cargo run -p hullo --example screen_svg > docs/screen.svg
//! ```
//!
//! What is drawn is the program's own screen, its pictures through the encoder that the terminal gets them from, into
//! quarters of cells. Faces, clock and names are fixed, so that the file changes only when the screen does.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hullo::event::{
    CallEvent, CallNumber, CallState, Command, Contact, ContactId, Event, Feed, GroupNumber, Media,
    ParticipantChange, ParticipantId, Party,
};
use hullo::groups::GroupLine;
use hullo::model::{Mode, Model};
use hullo::report::{Flow, GroupMember, PersonFigures, Stats};
use hullo::update::update;
use hullo::view::canvas::Placed;
use hullo::view::look::{ColourDepth, Glyphs, Look};
use hullo::view::view_with_places;
use hullo_media::frame::Picture;
use hullo_picture::{Colour, Encoder, EncoderOptions, Mask, PictureRef, Plane, Quality, Tile};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const COLUMNS: u16 = 120;
const ROWS: u16 = 34;
/// The encoder may need some frames until every cell is as good as it gets.
const FRAMES: usize = 12;
/// More than any frame takes.
const BUDGET_BYTES: usize = 1 << 20;
const PICTURE_SIZE: (u32, u32) = (320, 180);
const HIKERS: GroupNumber = GroupNumber(1);
/// Alice, bob, and we.
const SITTERS: [Sitter; 3] = [
    Sitter {
        colours: [
            [96.0, 122.0, 140.0],
            [178.0, 84.0, 66.0],
            [62.0, 44.0, 36.0],
            [226.0, 178.0, 148.0],
        ],
        head: (0.86, 0.42),
    },
    Sitter {
        colours: [
            [122.0, 110.0, 84.0],
            [58.0, 92.0, 84.0],
            [40.0, 38.0, 44.0],
            [170.0, 120.0, 90.0],
        ],
        head: (0.92, 0.44),
    },
    Sitter {
        colours: [
            [104.0, 92.0, 122.0],
            [70.0, 80.0, 120.0],
            [150.0, 104.0, 62.0],
            [236.0, 196.0, 170.0],
        ],
        head: (0.84, 0.43),
    },
];
/// A cell in units of the SVG: twice as high as wide, so that half a cell is a square pixel of the picture.
const CELL_WIDTH: u32 = 8;
const CELL_HEIGHT: u32 = 16;
/// Air around the screen.
const MARGIN: u32 = 12;
/// Of monospaced fonts' usual proportions: the advance is then about [`CELL_WIDTH`].
const FONT_SIZE: f32 = 13.3;
/// From a cell's top to the line its letters stand on.
const BASELINE: u32 = 12;
const FOREGROUND: &str = "#d8dee6";
const BACKGROUND: &str = "#14181d";
/// Steps between the levels of a colour: nobody sees them, and equal neighbours make the file a third smaller.
const COLOUR_STEP: u8 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    std::io::stdout().write_all(drawn()?.as_bytes())?;
    Ok(())
}

fn drawn() -> Result<String, Box<dyn Error>> {
    let mut terminal = Terminal::new(TestBackend::new(COLUMNS, ROWS))?;
    let model = model()?;
    let mut placed = Vec::new();
    terminal.draw(|frame| placed = view_with_places(&model, frame))?;
    let mut buffer = terminal.backend().buffer().clone();
    put_pictures(&placed, &mut buffer)?;
    Ok(svg(&buffer))
}

/// Puts what the encoder would make the terminal show into the cells that were left for it.
fn put_pictures(placed: &[Placed<'_>], buffer: &mut Buffer) -> Result<(), Box<dyn Error>> {
    let mut tiles = Vec::new();
    for one in placed {
        let Picture {
            width,
            height,
            y,
            u,
            v,
        } = one.picture;
        let plane = |samples, stride: u32| Plane {
            samples,
            stride: stride as usize,
        };
        let chroma = width.div_ceil(2);
        let picture = PictureRef::i420(
            *width,
            *height,
            plane(y, *width),
            plane(u, chroma),
            plane(v, chroma),
        )?;
        let rect = one.rect;
        tiles.push(Tile {
            rect: hullo_picture::Rect::new(rect.x, rect.y, rect.width, rect.height),
            picture,
        });
    }
    let options = EncoderOptions {
        quality: Quality::FINE,
        ..EncoderOptions::default()
    };
    let mut encoder = Encoder::new(options, COLUMNS, ROWS);
    for _ in 0..FRAMES {
        encoder.encode(&tiles, &Mask::default(), BUDGET_BYTES, &mut Vec::new());
    }
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            if let Some(shown) = encoder.shown().cell(column, row) {
                let colour = |colour| match colour {
                    Colour::Rgb([r, g, b]) => Color::Rgb(r, g, b),
                    Colour::Default | Colour::Palette(_) => Color::Reset,
                };
                buffer[(column, row)]
                    .set_char(shown.glyph)
                    .set_fg(colour(shown.foreground))
                    .set_bg(colour(shown.background));
            }
        }
    }
    Ok(())
}

/// Somebody in front of a wall, as far as ellipses go: head, hair, shoulders, and light from the left.
struct Sitter {
    /// Red, green and blue of wall, clothes, hair and skin.
    colours: [[f32; 3]; 4],
    /// Where the head is, in heights of the picture.
    head: (f32, f32),
}

impl Sitter {
    fn picture(&self) -> Arc<Picture> {
        let (width, height) = PICTURE_SIZE;
        let pixel = |column: u32, row: u32| {
            let at = |value: u32| (value as f32 + 0.5) / height as f32;
            self.colour(at(column), at(row))
        };
        let luma = |[r, g, b]: [f32; 3]| 16.0 + 0.257 * r + 0.504 * g + 0.098 * b;
        let blue = |[r, g, b]: [f32; 3]| 128.0 - 0.148 * r - 0.291 * g + 0.439 * b;
        let red = |[r, g, b]: [f32; 3]| 128.0 + 0.439 * r - 0.368 * g - 0.071 * b;
        let plane = |step: u32, of: &dyn Fn([f32; 3]) -> f32| {
            let rows = (0..height / step).flat_map(move |row| {
                (0..width / step).map(move |column| (column * step, row * step))
            });
            rows.map(|(column, row)| of(pixel(column, row)) as u8)
                .collect()
        };
        Arc::new(Picture {
            width,
            height,
            y: plane(1, &luma),
            u: plane(2, &blue),
            v: plane(2, &red),
        })
    }

    /// The colour at a place; both from 0, one picture's height is 1.
    fn colour(&self, x: f32, y: f32) -> [f32; 3] {
        let [wall, clothes, hair, skin] = self.colours;
        let (head_x, head_y) = self.head;
        let inside = |cx: f32, cy: f32, rx: f32, ry: f32| {
            let (dx, dy) = ((x - cx) / rx, (y - cy) / ry);
            dx * dx + dy * dy < 1.0
        };
        let light = 1.25 - 0.35 * x;
        let (colour, light) = if inside(head_x - 0.07, head_y, 0.02, 0.022)
            || inside(head_x + 0.07, head_y, 0.02, 0.022)
        {
            ([30.0, 26.0, 28.0], 1.0)
        } else if inside(head_x, head_y + 0.11, 0.06, 0.014) {
            ([150.0, 70.0, 70.0], light)
        } else if inside(head_x, head_y + 0.02, 0.16, 0.21) {
            (skin, light - 1.2 * (x - head_x).max(0.0))
        } else if inside(head_x, head_y - 0.03, 0.19, 0.23) {
            (hair, light)
        } else if inside(head_x, head_y + 0.22, 0.07, 0.12) {
            (skin, 0.75 * light)
        } else if inside(head_x, head_y + 0.62, 0.42, 0.36) {
            (clothes, light - 0.8 * (x - head_x).max(0.0))
        } else {
            (wall, light - 0.3 * y)
        };
        colour.map(|level| (level * light).clamp(0.0, 255.0))
    }
}

/// Three minutes into the call of a group: alice speaks, bob is at half his loudness, dave sends no picture.
fn model() -> Result<Model, Box<dyn Error>> {
    let look = Look {
        depth: ColourDepth::True,
        glyphs: Glyphs::Unicode,
    };
    let number = CallNumber(1);
    let of_call = |event| Event::Call(number, event);
    let own = CallEvent::Own {
        mic_muted: false,
        camera_on: true,
        on_hold: false,
    };
    let contact = |id, name: &str, verified, ready| Contact {
        id: ContactId(id),
        name: name.to_owned(),
        short_id: "AAAAAAAA".to_owned(),
        verified,
        ready,
        blocked: false,
        lost: false,
    };
    let mut events = vec![
        Event::Resize(COLUMNS, ROWS),
        Event::Contacts(vec![
            contact(1, "alice", true, true),
            contact(2, "bob", false, true),
            contact(3, "erin", true, true),
            contact(4, "frank", false, false),
        ]),
        Event::Groups(vec![hikers()]),
        Event::Server {
            up: true,
            reason: None,
        },
        Event::Command(Command::Join("hikers".to_owned(), Media::Video)),
        of_call(CallEvent::Started {
            party: Party::Group(HIKERS),
            media: Media::Video,
        }),
        of_call(CallEvent::State(CallState::Connecting)),
        of_call(CallEvent::State(CallState::Connected)),
        of_call(own),
        of_call(CallEvent::OwnPicture(Some(SITTERS[2].picture()))),
    ];
    events.extend(people(number)?);
    events.extend(figures().map(of_call));
    events.extend([
        Event::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::NONE)),
        Event::Command(Command::Volume("bob".to_owned(), 50)),
    ]);
    let mut model = Model::new(Mode::Screen, look);
    for event in events {
        // A picture has no outside to tell.
        let _ = update(&mut model, event);
    }
    model.set_now(192_000);
    // The newest pictures came just now.
    let is_picture = |event: &Event| {
        matches!(
            event,
            Event::Call(_, CallEvent::Participant(_, ParticipantChange::Picture(..)))
        )
    };
    for event in people(number)?.into_iter().filter(is_picture) {
        let _ = update(&mut model, event);
    }
    // What was said long ago is gone from the screen.
    let _ = update(&mut model, Event::Tick);
    Ok(model)
}

/// The group whose call it is.
fn hikers() -> GroupLine {
    let member = |name: &str, vouched| GroupMember {
        name: name.to_owned(),
        id: "AAAAAAAA".to_owned(),
        vouched,
        creator: name == "alice",
        invited: false,
    };
    GroupLine {
        number: HIKERS.0,
        name: "hikers".to_owned(),
        revision: 1,
        is_ours: false,
        is_joined: true,
        members: vec![
            member("alice", "verified"),
            member("bob", "contact"),
            member("dave", "group"),
            member("carol", "you"),
        ],
        trouble: None,
    }
}

/// Who is in the call, and what each does.
fn people(call: CallNumber) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut events = Vec::new();
    for (id, name) in [(1, "alice"), (2, "bob"), (3, "dave")] {
        let id = ParticipantId::try_from(id)?;
        let mut told = |change| {
            events.push(Event::Call(call, CallEvent::Participant(id, change)));
        };
        told(ParticipantChange::Joined {
            name: name.to_owned(),
        });
        match name {
            "alice" => {
                told(ParticipantChange::Muted(false));
                told(ParticipantChange::Speaking(true));
            }
            "bob" => told(ParticipantChange::Muted(false)),
            _ => {}
        }
        if let Some(sitter) = SITTERS
            .get(id.number() as usize - 1)
            .filter(|_| name != "dave")
        {
            told(ParticipantChange::Camera(true));
            told(ParticipantChange::Picture(Feed::Camera, sitter.picture()));
        }
    }
    Ok(events)
}

/// Two seconds of figures: a word about each needs two.
fn figures() -> impl Iterator<Item = CallEvent> {
    let of = |participant, second: u64, concealed_ms| PersonFigures {
        participant,
        audio_ms: second * 1_000,
        concealed_ms,
        delay_ms: 40,
        ..PersonFigures::default()
    };
    (1..=2).map(move |second| {
        CallEvent::Stats(Box::new(Stats {
            sent: Flow {
                loss: Some(0.0),
                ..Flow::default()
            },
            rtt_ms: Some(23.0),
            people: vec![of(1, second, 0), of(2, second, 30 * second)],
            ..Stats::default()
        }))
    })
}

/// Rectangles of one colour as one path each, then the words on top.
fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (width, height) = (
        u32::from(area.width) * CELL_WIDTH,
        u32::from(area.height) * CELL_HEIGHT,
    );
    let mut out = String::new();
    // Writing into a string does not fail, here and below.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-{MARGIN} -{MARGIN} {} {}\" role=\"img\">\n\
         <title>The call of a group in Hullo: contacts on the left, people and pictures on the right</title>\n\
         <rect x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>",
        width + 2 * MARGIN,
        height + 2 * MARGIN
    );
    let _ = writeln!(out, "<g shape-rendering=\"crispEdges\">");
    for (colour, path) in rectangles(buffer) {
        let _ = writeln!(out, "<path fill=\"{colour}\" d=\"{path}\"/>");
    }
    let _ = writeln!(
        out,
        "</g>\n<g font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" \
         font-size=\"{FONT_SIZE}\" xml:space=\"preserve\">"
    );
    for row in 0..area.height {
        write_words(buffer, row, &mut out);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// For each colour the path of everything filled with it: quarter cells, merged with equal neighbours in their row.
fn rectangles(buffer: &Buffer) -> BTreeMap<String, String> {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    let (width, height) = (CELL_WIDTH / 2, CELL_HEIGHT / 2);
    for half_row in 0..buffer.area.height * 2 {
        let colours: Vec<String> = (0..buffer.area.width * 2)
            .map(|half| {
                let cell = &buffer[(half / 2, half_row / 2)];
                fill(cell, half % 2 == 0, half_row % 2 == 0)
            })
            .collect();
        let mut x = 0;
        for run in colours.chunk_by(|a, b| a == b) {
            let length = run.len() as u32;
            if run[0] != BACKGROUND {
                let path = paths.entry(run[0].clone()).or_default();
                let _ = write!(
                    path,
                    "M{} {}h{}v{}h-{}z",
                    x * width,
                    u32::from(half_row) * height,
                    length * width,
                    height,
                    length * width
                );
            }
            x += length;
        }
    }
    paths
}

/// Quarters filled in each block glyph: upper left 1, upper right 2, lower left 4, lower right 8.
const QUADRANTS: [&str; 16] = [
    " ", "▘", "▝", "▀", "▖", "▌", "▞", "▛", "▗", "▚", "▐", "▜", "▄", "▙", "▟", "█",
];

/// The quarters a cell fills with its foreground; `None` for letters, and for nothing.
fn quarters(cell: &Cell) -> Option<usize> {
    let at = QUADRANTS.iter().position(|glyph| *glyph == cell.symbol());
    at.filter(|filled| *filled > 0)
}

/// What a quarter of the cell is filled with.
fn fill(cell: &Cell, is_left: bool, is_upper: bool) -> String {
    let (foreground, background) = colours(cell);
    let bit = 1 << (usize::from(!is_left) + 2 * usize::from(!is_upper));
    if quarters(cell).is_some_and(|filled| filled & bit != 0) {
        foreground
    } else {
        background
    }
}

/// Foreground and background as seen.
fn colours(cell: &Cell) -> (String, String) {
    let (foreground, background) = (hex(cell.fg, FOREGROUND), hex(cell.bg, BACKGROUND));
    if cell.modifier.contains(Modifier::REVERSED) {
        (background, foreground)
    } else {
        (foreground, background)
    }
}

fn hex(colour: Color, default: &str) -> String {
    match colour {
        Color::Rgb(r, g, b) => {
            let step = |level: u8| level / COLOUR_STEP * COLOUR_STEP;
            format!("#{:02x}{:02x}{:02x}", step(r), step(g), step(b))
        }
        Color::LightRed => "#ff7b72".to_owned(),
        Color::LightYellow => "#e3b341".to_owned(),
        _ => default.to_owned(),
    }
}

/// The words of a row: runs of one look, each stretched to its cells whatever the font's width is.
fn write_words(buffer: &Buffer, row: u16, out: &mut String) {
    let cells: Vec<&Cell> = (0..buffer.area.width)
        .map(|column| &buffer[(column, row)])
        .collect();
    let is_same = |a: &&Cell, b: &&Cell| {
        a.modifier == b.modifier && a.fg == b.fg && quarters(a).is_none() && quarters(b).is_none()
    };
    let mut column = 0;
    for run in cells.chunk_by(is_same) {
        let text: String = run.iter().map(|cell| cell.symbol()).collect();
        let word = text.trim();
        if !word.is_empty() && quarters(run[0]).is_none() {
            let start = column + text.chars().take_while(|c| *c == ' ').count() as u32;
            let weight = if run[0].modifier.contains(Modifier::BOLD) {
                " font-weight=\"bold\""
            } else {
                ""
            };
            let opacity = if run[0].modifier.contains(Modifier::DIM) {
                " opacity=\".5\""
            } else {
                ""
            };
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{weight}{opacity}>{}</text>",
                start * CELL_WIDTH,
                u32::from(row) * CELL_HEIGHT + BASELINE,
                word.chars().count() as u32 * CELL_WIDTH,
                colours(run[0]).0,
                word.replace('&', "&amp;").replace('<', "&lt;")
            );
        }
        column += run.len() as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_the_screen_as_it_is() {
        let file = include_str!("../../docs/screen.svg");
        assert!(
            drawn().expect("a test terminal does not fail") == file,
            "the screen has changed: cargo run -p hullo --example screen_svg > docs/screen.svg"
        );
    }
}
