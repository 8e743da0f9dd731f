//! Pictures as SVG text: bars from zero, dots and lines on a logarithmic axis. Colours are classes of the page, so that
//! one picture serves light and dark.
//!
//! Invariant: every text from outside goes through [`escape`].
//!
//! Not here: what is drawn (`page.rs`).

use std::fmt::Write as _;

use crate::goals::grouped;
use crate::spread::Spread;

/// One figure with its ends.
pub(crate) struct Mark {
    pub(crate) name: String,
    /// A class of the page, which has its colour.
    pub(crate) class: &'static str,
    pub(crate) spread: Spread,
}

/// Figures at one place of the axis each.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) figures: Vec<f64>,
}

const WIDTH: f64 = 900.0;
/// Where names end and the plot begins, and where it ends and figures begin.
const LEFT: f64 = 230.0;
const RIGHT: f64 = 730.0;
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;
/// Below the last row: the axis.
const FOOT: f64 = 26.0;
/// A figure that is zero or below has no place on a logarithmic axis and is drawn as this.
const LEAST: f64 = 1e-3;

/// Text as it may stand in HTML, between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

/// A bar for each mark, from zero to its median, with a whisker from its least to its most.
pub(crate) fn bars(marks: &[Mark], unit: &str) -> String {
    let most = marks.iter().map(|mark| mark.spread.max).fold(0.0, f64::max);
    let step = step(most);
    let end = (most / step).ceil().max(1.0) * step;
    let x = |figure: f64| LEFT + (figure / end).clamp(0.0, 1.0) * (RIGHT - LEFT);
    let ticks: Vec<f64> =
        std::iter::successors(Some(0.0), |tick| Some(tick + step)).take_while(|tick| *tick <= end * 1.001).collect();
    rows(marks, unit, &ticks, x, |out, mark, middle| {
        let (begin, width) = (x(0.0), x(mark.spread.median) - x(0.0));
        let top = middle - BAR / 2.0;
        let _ = write!(
            out,
            "<rect class=\"fill {}\" x=\"{begin:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>",
            mark.class
        );
    })
}

/// A dot for each mark at its median on a logarithmic axis, with the same whisker.
pub(crate) fn dots(marks: &[Mark], unit: &str) -> String {
    let axis = Axis::over(marks.iter().flat_map(|mark| [mark.spread.min, mark.spread.max]));
    let x = |figure: f64| LEFT + axis.share(figure) * (RIGHT - LEFT);
    rows(marks, unit, &axis.ticks(), x, |out, mark, middle| {
        let at = x(mark.spread.median);
        let _ = write!(out, "<circle class=\"fill {}\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"6\"/>", mark.class);
    })
}

/// What bars and dots have in common: a row each with name, whisker and figure, over an axis.
fn rows(
    marks: &[Mark],
    unit: &str,
    ticks: &[f64],
    x: impl Fn(f64) -> f64,
    draw: impl Fn(&mut String, &Mark, f64),
) -> String {
    let bottom = marks.len() as f64 * ROW;
    let mut out = open(bottom + FOOT, unit);
    for &tick in ticks {
        let (at, text) = (x(tick), grouped(tick));
        let _ = write!(out, "<path class=\"grid\" d=\"M{at:.1} 0V{bottom:.1}\"/>");
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            bottom + 17.0
        );
    }
    for (at, mark) in marks.iter().enumerate() {
        let middle = (at as f64 + 0.5) * ROW;
        let (Spread { median, min, max }, name) = (mark.spread, escape(&mark.name));
        let _ =
            write!(out, "<g><title>{name}: {} ({} to {}) {unit}</title>", grouped(median), grouped(min), grouped(max));
        let baseline = middle + 4.5;
        let _ = write!(out, "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 10.0);
        draw(&mut out, mark, middle);
        let (from, to) = (x(min), x(max));
        if to - from > 0.5 {
            let (up, down) = (middle - 5.0, middle + 5.0);
            let _ = write!(
                out,
                "<path class=\"whisker\" d=\"M{from:.1} {up}V{down}M{from:.1} {middle}H{to:.1}M{to:.1} {up}V{down}\"/>"
            );
        }
        let _ = write!(
            out,
            "<text class=\"figure\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text></g>",
            RIGHT + 14.0,
            grouped(median)
        );
    }
    out.push_str("</svg>");
    out
}

/// A line for each, over the places of `names`, on a logarithmic axis. Lines of one class differ by their dashes.
pub(crate) fn lines(lines: &[Line], names: &[&str], unit: &str) -> String {
    const TOP: f64 = 10.0;
    const BOTTOM: f64 = 300.0;
    const FROM: f64 = 80.0;
    const TO: f64 = 640.0;
    /// Names at the right end stay so far apart.
    const APART: f64 = 17.0;
    let axis = Axis::over(lines.iter().flat_map(|line| line.figures.iter().copied()));
    let y = |figure: f64| BOTTOM - axis.share(figure) * (BOTTOM - TOP);
    let x = |at: usize| FROM + at as f64 / (names.len().max(2) - 1) as f64 * (TO - FROM);
    let height = (BOTTOM + FOOT).max(TOP + lines.len() as f64 * APART + FOOT);
    let mut out = open(height, unit);
    for tick in axis.ticks() {
        let (at, text) = (y(tick), grouped(tick));
        let _ = write!(out, "<path class=\"grid\" d=\"M{FROM} {at:.1}H{TO}\"/>");
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            FROM - 8.0,
            at + 4.0
        );
    }
    for (at, name) in names.iter().enumerate() {
        let (middle, below) = (x(at), BOTTOM + 22.0);
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{middle:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
            escape(name)
        );
    }
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(&last) = line.figures.last() else { continue };
        let earlier = lines[..number].iter().filter(|other| other.class == line.class).count();
        let points: Vec<String> =
            line.figures.iter().enumerate().map(|(at, &figure)| format!("{:.1},{:.1}", x(at), y(figure))).collect();
        let (class, dash) = (line.class, DASHES[earlier % DASHES.len()]);
        let told: Vec<String> =
            names.iter().zip(&line.figures).map(|(name, figure)| format!("{name} {}", grouped(*figure))).collect();
        let _ = write!(out, "<g><title>{}: {} ({unit})</title>", escape(&line.name), escape(&told.join(", ")));
        let _ = write!(
            out,
            "<polyline class=\"line {class}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
            points.join(" ")
        );
        for (at, &figure) in line.figures.iter().enumerate() {
            let _ = write!(out, "<circle class=\"fill {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(at), y(figure));
        }
        out.push_str("</g>");
        ends.push((y(last), number));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted: Vec<f64> = ends.iter().map(|(at, _)| *at).collect();
    for (&(end, number), label) in ends.iter().zip(spaced(&wanted, APART, height - FOOT)) {
        let line = &lines[number];
        let earlier = lines[..number].iter().filter(|other| other.class == line.class).count();
        let (class, dash) = (line.class, DASHES[earlier % DASHES.len()]);
        let (from, to) = (TO + 6.0, TO + 40.0);
        let _ = write!(
            out,
            "<path class=\"line thin {class}\" stroke-dasharray=\"{dash}\" d=\"M{from} {end:.1}L{:.1} {label:.1}H{to}\"/>",
            from + 12.0
        );
        let _ = write!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", to + 6.0, label + 4.5, escape(&line.name));
    }
    out.push_str("</svg>");
    out
}

const DASHES: [&str; 5] = ["none", "7 4", "2 3", "9 3 2 3", "1 6"];

fn open(height: f64, unit: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(unit))
}

/// Places in order, each at least so far from the one before, none below `bottom`; moved as little as that allows from
/// the top down, then back up.
fn spaced(wanted: &[f64], apart: f64, bottom: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::with_capacity(wanted.len());
    for &place in wanted {
        let least = places.last().map_or(f64::NEG_INFINITY, |last| last + apart);
        places.push(place.max(least));
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - apart;
    }
    places
}

/// The least step of 1, 2 or 5 times a power of ten of which five reach over a length: more would write figures over
/// each other.
fn step(length: f64) -> f64 {
    const STEPS_MAX: f64 = 5.0;
    if length <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf((length / STEPS_MAX).log10().floor());
    let reaches = |factor: f64| power * factor * STEPS_MAX >= length * 0.9999;
    [1.0, 2.0, 5.0].into_iter().find(|factor| reaches(*factor)).unwrap_or(10.0) * power
}

/// A logarithmic axis between two of 1, 2 and 5 times a power of ten.
struct Axis {
    ticks: Vec<f64>,
}

impl Axis {
    fn over(figures: impl IntoIterator<Item = f64>) -> Axis {
        let (mut least, mut most) = (f64::INFINITY, LEAST);
        for figure in figures.into_iter().filter(|figure| figure.is_finite()) {
            (least, most) = (least.min(figure.max(LEAST)), most.max(figure));
        }
        let least = least.min(most);
        let all: Vec<f64> =
            (-3..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(power))).collect();
        let first = all.iter().rposition(|tick| *tick <= least * 1.0001).unwrap_or(0);
        let last = all.iter().position(|tick| *tick * 1.0001 >= most).unwrap_or(all.len() - 1).max(first + 1);
        Axis { ticks: all[first..=last.min(all.len() - 1)].to_vec() }
    }

    /// Where a figure is, from 0 to 1.
    fn share(&self, figure: f64) -> f64 {
        let (Some(first), Some(last)) = (self.ticks.first(), self.ticks.last()) else { return 0.0 };
        ((figure.max(LEAST) / first).log10() / (last / first).log10()).clamp(0.0, 1.0)
    }

    /// All of them, or when they are many, powers of ten and the ends.
    fn ticks(&self) -> Vec<f64> {
        const MANY: usize = 10;
        let is_power = |tick: f64| (tick.log10() - tick.log10().round()).abs() < 1e-6;
        let ends = [self.ticks.first().copied(), self.ticks.last().copied()];
        let few = self.ticks.len() <= MANY;
        self.ticks.iter().copied().filter(|tick| few || is_power(*tick) || ends.contains(&Some(*tick))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_a_tag() {
        assert_eq!(escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
        let spread = Spread { median: 1.0, min: 1.0, max: 1.0 };
        let mark = Mark { name: "<script>".to_owned(), class: "other", spread };
        let line = Line { name: "<script>".to_owned(), class: "other", figures: vec![1.0, 2.0] };
        for drawn in [bars(std::slice::from_ref(&mark), "a"), dots(&[mark], "a"), lines(&[line], &["<p>", "q"], "a")] {
            assert!(!drawn.contains("<script>") && !drawn.contains("<p>"), "{drawn}");
            assert!(drawn.contains("&lt;script&gt;"), "{drawn}");
        }
    }

    #[test]
    fn steps_are_round_and_few() {
        for (length, expected) in [(10.0, 2.0), (4.0, 1.0), (1_931_203.0, 500_000.0), (0.7, 0.2), (0.0, 1.0)] {
            assert!((step(length) - expected).abs() < expected * 1e-9, "{length}: {}", step(length));
        }
    }

    #[test]
    fn a_logarithmic_axis_reaches_around_its_figures() {
        let axis = Axis::over([130.0, 9_000.0]);
        assert_eq!(axis.ticks.first().zip(axis.ticks.last()), Some((&100.0, &10_000.0)));
        assert!((axis.share(1_000.0) - 0.5).abs() < 1e-9);
        assert_eq!((axis.share(0.0), axis.share(1e9)), (0.0, 1.0));
        let of_one = Axis::over([7.0]);
        assert_eq!(of_one.ticks, [5.0, 10.0]);
        assert!(Axis::over([]).ticks.len() >= 2 && Axis::over([0.0]).ticks.len() >= 2);
    }

    #[test]
    fn names_at_the_end_of_lines_do_not_overlap() {
        assert_eq!(spaced(&[0.0, 5.0, 50.0], 10.0, 100.0), [0.0, 10.0, 50.0]);
        assert_eq!(spaced(&[80.0, 95.0, 99.0], 10.0, 100.0), [80.0, 90.0, 100.0]);
        assert_eq!(spaced(&[], 10.0, 100.0), Vec::<f64>::new());
    }
}
