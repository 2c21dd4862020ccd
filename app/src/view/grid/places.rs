//! Where tiles stand: as large as the space allows.

use ratatui::layout::Rect;

/// Smallest tile, its label included.
pub(super) const TILE_COLUMNS_MIN: u16 = 14;
pub(super) const TILE_ROWS_MIN: u16 = 5;
/// Between two tiles beside one another.
const GAP_CELLS: u16 = 1;

/// Equal tiles in the rows and columns that make pictures largest; none where they would be too small.
pub(super) fn places(count: usize, area: Rect) -> Vec<Rect> {
    let Ok(count) = u16::try_from(count) else {
        return Vec::new();
    };
    let size = |columns: u16| {
        let width = (area.width + GAP_CELLS) / columns;
        let width = width.saturating_sub(GAP_CELLS);
        (width, area.height / count.div_ceil(columns))
    };
    let fits = |(width, height): (u16, u16)| width >= TILE_COLUMNS_MIN && height >= TILE_ROWS_MIN;
    let covered = |columns: &u16| {
        let (width, height) = size(*columns);
        crate::picture::fit(16, 9, Rect::new(0, 0, width, height.saturating_sub(1))).area()
    };
    let best = (1..=count)
        .filter(|columns| fits(size(*columns)))
        .max_by_key(covered);
    let Some(columns) = best else {
        return Vec::new();
    };
    let (width, height) = size(columns);
    (0..count)
        .map(|at| Rect {
            x: area.x + (at % columns) * (width + GAP_CELLS),
            y: area.y + (at / columns) * height,
            width,
            height,
        })
        .collect()
}

/// Places for a row of small tiles in this area, from the left.
pub(super) fn strip(area: Rect) -> Vec<Rect> {
    if area.height < TILE_ROWS_MIN {
        return Vec::new();
    }
    // Below its label a picture of 16:9; a cell is twice as high as wide.
    let width = (u32::from(area.height - 1) * 32 / 9).min(u32::from(area.width));
    let width = u16::try_from(width)
        .unwrap_or(u16::MAX)
        .max(TILE_COLUMNS_MIN);
    let count = (area.width + GAP_CELLS) / (width + GAP_CELLS);
    (0..count)
        .map(|at| Rect {
            x: area.x + at * (width + GAP_CELLS),
            width,
            ..area
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_lie_inside_and_beside_one_another(count in 0usize..20, width in 0u16..300, height in 0u16..100) {
            let area = Rect::new(3, 5, width, height);
            let tiles = places(count, area);
            prop_assert!(tiles.is_empty() || tiles.len() == count);
            for (at, tile) in tiles.iter().enumerate() {
                prop_assert!(tile.height > 1 && area.union(*tile) == area, "{tile:?} of {area:?}");
                prop_assert!(tiles[at + 1..].iter().all(|other| !other.intersects(*tile)));
            }
            let strip = strip(area);
            for (at, tile) in strip.iter().enumerate() {
                prop_assert!(area.union(*tile) == area, "{tile:?} of {area:?}");
                prop_assert!(strip[at + 1..].iter().all(|other| !other.intersects(*tile)));
            }
        }
    }

    #[test]
    fn pictures_get_as_large_as_the_screen_allows() {
        let wide = places(2, Rect::new(0, 0, 80, 20));
        assert_eq!((wide[0].width, wide[1].x), (39, 40));
        let high = places(2, Rect::new(0, 0, 30, 40));
        assert_eq!((high[0].width, high[1].y), (30, 20));
        assert!(places(9, Rect::new(0, 0, 40, 8)).is_empty());
    }
}
