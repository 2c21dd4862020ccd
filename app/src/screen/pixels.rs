//! Whether pixels can be drawn where they were asked for.

use hullo_picture::{PixelKind, PixelScreen};

use super::kind::PictureTerminal;
use crate::config::PixelChoice;
use crate::terminal::probe::Ability;
use crate::text;

/// Pixels of a cell by what the system says of the window; many terminals say nothing.
pub(super) fn cell_of_window() -> Option<(u16, u16)> {
    let size = crossterm::terminal::window_size().ok()?;
    let across = size.width.checked_div(size.columns)?;
    let down = size.height.checked_div(size.rows)?;
    (across > 0 && down > 0).then_some((across, down))
}

/// Once the terminal has said all: `None`, nobody asked for pixels; else what draws them, or in words why nothing does.
/// Only what the terminal says itself counts: pixels sent to one that does not know them fill the screen with rubbish,
/// and a multiplexer drops them without a word.
pub(super) fn screen(
    kind: PictureTerminal,
    ability: &Ability,
    cell_of_window: Option<(u16, u16)>,
) -> Option<Result<PixelScreen, String>> {
    let (wanted, is_there) = match kind.pixels {
        PixelChoice::None => return None,
        PixelChoice::Sixel => (PixelKind::Sixel, ability.has_sixel),
        PixelChoice::Kitty => (PixelKind::Kitty, ability.has_kitty_pictures),
    };
    if !is_there {
        return Some(Err(text::no_pixels(wanted, kind.is_multiplexed)));
    }
    let cell = ability.cell_px.or(cell_of_window);
    let screen = cell.and_then(|cell| PixelScreen::new(wanted, cell));
    Some(screen.ok_or_else(|| text::NO_CELL_SIZE.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Reply;

    fn asked(
        pixels: PixelChoice,
        is_multiplexed: bool,
        replies: &[Reply],
    ) -> Option<Result<PixelKind, String>> {
        let mut ability = Ability::default();
        for reply in replies {
            ability.take(reply);
        }
        let kind = PictureTerminal {
            pixels,
            is_multiplexed,
            ..PictureTerminal::default()
        };
        screen(kind, &ability, None).map(|found| found.map(|screen| screen.kind()))
    }

    #[test]
    fn pixels_are_drawn_where_they_were_asked_for_and_the_terminal_says_so() {
        let sixel = [Reply::CellPixels(10, 20), Reply::Attributes(vec![62, 4])];
        assert_eq!(asked(PixelChoice::None, false, &sixel), None);
        let found = asked(PixelChoice::Sixel, false, &sixel);
        assert_eq!(found, Some(Ok(PixelKind::Sixel)));
        // A tmux that draws them itself says so, too.
        let found = asked(PixelChoice::Sixel, true, &sixel);
        assert_eq!(found, Some(Ok(PixelKind::Sixel)));
        let kitty = [Reply::CellPixels(10, 20), Reply::Graphics(true)];
        let found = asked(PixelChoice::Kitty, false, &kitty);
        assert_eq!(found, Some(Ok(PixelKind::Kitty)));
    }

    #[test]
    fn else_it_is_said_why_not_and_what_to_do() {
        let plain = [Reply::CellPixels(10, 20), Reply::Attributes(vec![62])];
        for (pixels, word) in [(PixelChoice::Sixel, "sixel"), (PixelChoice::Kitty, "kitty")] {
            let words = asked(pixels, false, &plain)
                .expect("asked")
                .expect_err("no");
            assert!(
                words.contains(word) && words.contains("characters"),
                "{words}"
            );
            let words = asked(pixels, true, &plain).expect("asked").expect_err("no");
            assert!(
                words.contains("tmux") && words.contains("outside"),
                "{words}"
            );
        }
        let no_size = [Reply::Attributes(vec![62, 4])];
        let words = asked(PixelChoice::Sixel, false, &no_size)
            .expect("asked")
            .expect_err("no");
        assert!(words.contains("how large"), "{words}");
    }
}
