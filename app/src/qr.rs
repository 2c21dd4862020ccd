//! QR codes in half blocks, for what has to go from a terminal to a camera.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code. The standard asks for four; readers are content with two, and 80x24 has no more room.
const QUIET_MODULES: usize = 2;
/// Widest code drawn, modules without the quiet zone: version 6, 23 rows in all.
const MODULES_MAX: usize = 41;

/// One line for two rows of modules, light ones filled: right on a dark ground, or with black on white reversed.
/// `None`: too much for a code that a small terminal shows.
#[must_use]
pub fn half_blocks(text: &str) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    if code.width() > MODULES_MAX {
        return None;
    }
    let side = code.width() + 2 * QUIET_MODULES;
    let is_light = |column: usize, row: usize| {
        let inside = |at: usize| {
            at.checked_sub(QUIET_MODULES)
                .filter(|at| *at < code.width())
        };
        match (inside(column), inside(row)) {
            (Some(column), Some(row)) => code[(column, row)] == Color::Light,
            // Below the last row of an odd number there is nothing, which is as good as light.
            _ => true,
        }
    };
    let line = |row: usize| {
        (0..side)
            .map(
                |column| match (is_light(column, row), is_light(column, row + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                },
            )
            .collect()
    };
    Some((0..side).step_by(2).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_with_its_server_fits_80x24() {
        let link = "hullo:7314-orbit-velvet@192.168.178.200:44333/".to_owned()
            + "q3cRk-0aXvU7_bTzWm9LePdYhS2NfGjKoI4x6BwVs8Q";
        let lines = half_blocks(&link).expect("short enough");
        assert!(lines.len() <= 21, "{} rows", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() == 41));
        assert!(lines[0].chars().all(|cell| cell == '█'), "a quiet zone");
        // The finder pattern's corner: seven dark modules in a row, under two light ones.
        assert_eq!(
            lines[1].chars().skip(2).take(7).collect::<String>(),
            " ▄▄▄▄▄ "
        );
        assert!(half_blocks(&"a whole link ".repeat(40)).is_none());
    }
}
