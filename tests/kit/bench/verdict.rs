//! Bars, figures and the table that sets one against the other.

use std::fmt::Write as _;

use serde::Serialize;

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Bar {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bar) => figure >= bar,
            Self::AtMost(bar) => figure <= bar,
        }
    }

    fn worse(self, a: f64, b: f64) -> f64 {
        match self {
            Self::AtLeast(_) => a.min(b),
            Self::AtMost(_) => a.max(b),
        }
    }
}

/// How a figure stands to its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It reaches the bar.
    Pass,
    /// It does not, or it should be there and is not.
    Fail,
    /// It could not be measured on this machine; the reason is in the note.
    NotMeasured,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// What is judged.
    pub what: String,
    /// In what.
    pub unit: &'static str,
    /// The bar.
    pub bar: Bar,
    /// The worst side's figure.
    pub figure: Option<f64>,
    /// How it stands.
    pub verdict: Verdict,
    /// What else is worth knowing: both sides' figures, or why there is none.
    pub note: String,
}

impl Point {
    /// Judges the worst of several figures. A figure that is missing is a failure: the program was to report it.
    #[must_use]
    pub fn judge(
        what: &str,
        unit: &'static str,
        bar: Bar,
        figures: &[(&str, Option<f64>)],
    ) -> Self {
        let text = |figure: Option<f64>| figure.map_or("missing".to_owned(), |f| format!("{f:.2}"));
        // NaN is no figure: it would pass for the better of two.
        let all: Option<Vec<f64>> = figures
            .iter()
            .map(|&(_, figure)| figure.filter(|figure| figure.is_finite()))
            .collect();
        let worst = all.and_then(|all| all.into_iter().reduce(|a, b| bar.worse(a, b)));
        let reached = worst.is_some_and(|figure| bar.holds(figure));
        let sides: Vec<_> = figures
            .iter()
            .map(|(side, figure)| format!("{side} {}", text(*figure)))
            .collect();
        Self {
            what: what.to_owned(),
            unit,
            bar,
            figure: worst,
            verdict: if reached {
                Verdict::Pass
            } else {
                Verdict::Fail
            },
            note: sides.join(", "),
        }
    }

    /// A point that this machine cannot measure.
    #[must_use]
    pub fn not_measured(what: &str, unit: &'static str, bar: Bar, why: &str) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            bar,
            figure: None,
            verdict: Verdict::NotMeasured,
            note: why.to_owned(),
        }
    }
}

/// The table, a line for each point.
#[must_use]
pub fn table(points: &[Point]) -> String {
    let width = points
        .iter()
        .map(|point| point.what.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for point in points {
        let (sign, bar) = match point.bar {
            Bar::AtLeast(bar) => (">=", bar),
            Bar::AtMost(bar) => ("<=", bar),
        };
        let figure = point
            .figure
            .map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        let verdict = match point.verdict {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::NotMeasured => "not measured",
        };
        let Point {
            what, unit, note, ..
        } = point;
        writeln!(
            text,
            "{what:width$}  {sign} {bar:<6} {unit:<7} {figure:>8}  {verdict:<12}  {note}"
        )
        .expect("a String takes all that is written");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_side_is_judged() {
        let at_least = |a, b| Point::judge("x", "dB", Bar::AtLeast(38.0), &[("a", a), ("b", b)]);
        assert_eq!(at_least(Some(38.0), Some(40.0)).verdict, Verdict::Pass);
        assert_eq!(at_least(Some(38.0), Some(37.9)).verdict, Verdict::Fail);
        assert_eq!(at_least(Some(38.0), Some(37.9)).figure, Some(37.9));
        assert_eq!(at_least(Some(38.0), None).verdict, Verdict::Fail);
        assert_eq!(at_least(Some(f64::NAN), Some(40.0)).verdict, Verdict::Fail);
        let at_most = Point::judge(
            "x",
            "ms",
            Bar::AtMost(60.0),
            &[("a", Some(60.0)), ("b", Some(61.0))],
        );
        assert_eq!(
            (at_most.verdict, at_most.figure),
            (Verdict::Fail, Some(61.0))
        );
        assert_eq!(
            Point::judge("x", "ms", Bar::AtMost(60.0), &[]).verdict,
            Verdict::Fail
        );
    }

    #[test]
    fn the_table_says_what_stands_how() {
        let points = [
            Point::judge("sound", "ms", Bar::AtMost(500.0), &[("a", Some(212.0))]),
            Point::not_measured("PESQ", "", Bar::AtLeast(3.7), "no tools"),
        ];
        let text = table(&points);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].contains("<= 500") && lines[0].contains("212.00  PASS"),
            "{text}"
        );
        assert!(
            lines[1].contains("not measured") && lines[1].ends_with("no tools"),
            "{text}"
        );
    }
}
