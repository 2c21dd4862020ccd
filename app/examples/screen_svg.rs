//! Draws a call in progress into a virtual terminal and writes it as an SVG, the picture in the README:
//!
//! ```sh
//! cargo run -p hullo --example screen_svg > docs/screen.svg
//! ```
//!
//! What is drawn is the program's own screen, with the test card as the far picture; clock and names are fixed, so that
//! the file changes only when the screen does.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hullo::event::{CallEvent, CallNumber, CallState, Contact, ContactId, Event, Media, Party};
use hullo::model::{Mode, Model};
use hullo::update::update;
use hullo::view::look::{ColourDepth, Glyphs, Look};
use hullo::view::view;
use hullo_media::source::CaptureTime;
use hullo_media::source::card::TestCard;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const COLUMNS: u16 = 100;
const ROWS: u16 = 30;
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
    terminal.draw(|frame| view(&model, frame))?;
    Ok(svg(terminal.backend().buffer()))
}

/// Three minutes into a video call.
fn model() -> Result<Model, Box<dyn Error>> {
    let look = Look {
        depth: ColourDepth::True,
        glyphs: Glyphs::Unicode,
    };
    let bob = ContactId(2);
    let contact = |id, name: &str, verified, ready| Contact {
        id: ContactId(id),
        name: name.to_owned(),
        short_id: "AAAAAAAA".to_owned(),
        verified,
        ready,
        blocked: false,
        lost: false,
    };
    let picture = |elapsed_ms| {
        TestCard::new().picture(CaptureTime {
            elapsed: Duration::from_millis(elapsed_ms),
            clock_us: 1_700_000_000_500_000,
        })
    };
    let number = CallNumber(1);
    let call = CallEvent::Started {
        party: Party::Contact(bob),
        media: Media::Video,
    };
    let mut model = Model::new(Mode::Screen, look);
    let events = [
        Event::Resize(COLUMNS, ROWS),
        Event::Contacts(vec![
            contact(1, "alice", true, true),
            contact(2, "bob", true, true),
            contact(3, "carol", false, true),
            contact(4, "dave", false, false),
        ]),
        Event::Server {
            up: true,
            reason: None,
        },
        Event::Key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE)),
        Event::Call(number, call),
        Event::Call(number, CallEvent::State(CallState::Connected)),
        Event::Call(
            number,
            CallEvent::Own {
                mic_muted: false,
                camera_on: true,
                on_hold: false,
            },
        ),
        Event::Call(
            number,
            CallEvent::Far {
                mic_muted: false,
                camera_on: true,
                on_hold: false,
            },
        ),
        Event::Call(number, CallEvent::FarPicture(Some(picture(1_200)?))),
        Event::Call(number, CallEvent::OwnPicture(Some(picture(400)?))),
    ];
    for event in events {
        // A picture has no outside to tell.
        let _ = update(&mut model, event);
    }
    model.set_now(192_000);
    // What was said long ago is gone from the screen.
    let _ = update(&mut model, Event::Tick);
    Ok(model)
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
         <title>A video call in Hullo: contacts on the left, the picture on the right</title>\n\
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

/// For each colour the path of everything filled with it: half cells, merged with equal neighbours in their row.
fn rectangles(buffer: &Buffer) -> BTreeMap<String, String> {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    for half_row in 0..buffer.area.height * 2 {
        let colours: Vec<String> = (0..buffer.area.width)
            .map(|column| fill(&buffer[(column, half_row / 2)], half_row % 2 == 0))
            .collect();
        let mut x = 0;
        for run in colours.chunk_by(|a, b| a == b) {
            let length = run.len() as u32;
            if run[0] != BACKGROUND {
                let path = paths.entry(run[0].clone()).or_default();
                let _ = write!(
                    path,
                    "M{} {}h{}v{}h-{}z",
                    x * CELL_WIDTH,
                    u32::from(half_row) * CELL_HEIGHT / 2,
                    length * CELL_WIDTH,
                    CELL_HEIGHT / 2,
                    length * CELL_WIDTH
                );
            }
            x += length;
        }
    }
    paths
}

/// What a half of the cell is filled with.
fn fill(cell: &Cell, is_upper: bool) -> String {
    let (foreground, background) = colours(cell);
    if cell.symbol() == "▀" && is_upper {
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
        a.modifier == b.modifier && a.fg == b.fg && a.symbol() != "▀" && b.symbol() != "▀"
    };
    let mut column = 0;
    for run in cells.chunk_by(is_same) {
        let text: String = run.iter().map(|cell| cell.symbol()).collect();
        let word = text.trim();
        if !word.is_empty() && word != "▀" {
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
