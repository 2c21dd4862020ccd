//! Words about how pictures are drawn.

use hullo_picture::PixelKind;

/// The terminal knows pixels, and not how large its cells are.
pub(crate) const NO_CELL_SIZE: &str =
    "The terminal does not tell how large its cells are: pictures are drawn in characters.";

/// The mirror where there is no full screen.
pub(crate) const MIRROR_PLAIN: &str =
    "No full screen here: the pictures are only counted. Ctrl-C ends it.";

/// Pixels were asked for, and the terminal does not say that it shows them.
pub(crate) fn no_pixels(wanted: PixelKind, is_multiplexed: bool) -> String {
    let name = match wanted {
        PixelKind::Sixel => "sixel",
        PixelKind::Kitty => "kitty",
    };
    match (wanted, is_multiplexed) {
        (_, false) => format!(
            "This terminal does not say that it shows {name} pictures: they are drawn in characters."
        ),
        (PixelKind::Sixel, true) => {
            "This tmux (or screen, zellij) does not show sixel pictures: they are drawn in characters. A tmux from 3.4 on that was built with sixel does, or run hullo outside.".to_owned()
        }
        (PixelKind::Kitty, true) => {
            "tmux and its like let no kitty pictures through: they are drawn in characters. Run hullo outside.".to_owned()
        }
    }
}

/// `31 kB/s, 30 pictures/s`.
pub(crate) fn drawn_much(bytes: usize, pictures: f32) -> String {
    format!("{} kB/s, {pictures:.0} pictures/s", bytes.div_ceil(1_000))
}

/// `24 bits (COLORTERM), quarter blocks (by the locale)`.
pub(crate) fn drawn_how(colours: (&str, &str), characters: (&str, &str)) -> String {
    let colour = match colours.0 {
        "none" => "no colours".to_owned(),
        count if count.bytes().all(|digit| digit.is_ascii_digit()) => format!("{count} colours"),
        other => other.to_owned(),
    };
    // The line has room for the beginning of a reason.
    let short = |why: &str| -> String {
        let why = why.trim_end_matches(" says so");
        why.split(" and ").next().unwrap_or(why).to_owned()
    };
    let (colour_why, why) = (short(colours.1), short(characters.1));
    format!("{colour} ({colour_why}), {} ({why})", characters.0)
}
