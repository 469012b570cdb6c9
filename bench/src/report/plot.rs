//! A plot of a scenario, as SVG written by hand: a panel for each figure, a bar for each system.

use super::{
    Outcome, Row,
    table::{ratio, short},
};
use crate::{scenarios::Figure, systems::System};

const WIDTH: f64 = 900.0;
/// Where bars begin and end.
const LEFT: f64 = 330.0;
const RIGHT: f64 = 730.0;
const BAR: f64 = 18.0;
const STEP: f64 = 24.0;
const OURS: &str = "#2b6cb0";
const THEIRS: &str = "#a0aec0";

/// Draws it.
pub(super) fn plot(outcome: &Outcome) -> String {
    let mut y = 34.0;
    let mut shapes = text(16.0, y, "start", 17, &format!("{}: {}", outcome.scenario, outcome.what));
    for figure in outcome.figures().into_iter().filter(|figure| figure.is_plotted()) {
        y += 34.0;
        let better = if figure.more_is_better() == Some(true) { "more" } else { "less" };
        let heading = format!("{} ({better} is better)", figure.heading(&outcome.unit));
        shapes += &text(16.0, y, "start", 14, &heading);
        y += 10.0;
        let most = outcome.rows.iter().filter_map(|row| Some(row.spread(figure)?.most));
        let scale = (RIGHT - LEFT) / most.fold(f64::MIN_POSITIVE, f64::max);
        for row in &outcome.rows {
            if row.spread(figure).is_some() {
                shapes += &bar(outcome, row, figure, y, scale);
                y += STEP;
            }
        }
    }
    y += 10.0;
    for line in wrapped(&outcome.machine.line().replace('`', ""), 130) {
        y += 15.0;
        shapes += &text(16.0, y, "start", 11, &line);
    }
    let height = y + 16.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{shapes}</svg>\n"
    )
}

/// The median as a bar, the spread as a thin line.
fn bar(outcome: &Outcome, row: &Row, figure: Figure, y: f64, scale: f64) -> String {
    let Some(spread) = row.spread(figure) else { return String::new() };
    let colour = if row.system.starts_with("parlor") { OURS } else { THEIRS };
    let name = match row.case.as_str() {
        "" => row.system.clone(),
        case => format!("{case}: {}", row.system),
    };
    let width = spread.median * scale;
    let (middle, from, to) =
        (y + BAR / 2.0, LEFT + spread.least * scale, LEFT + spread.most * scale);
    let said = match ratio(outcome, System::Parlor.name(), row, figure) {
        Some(ratio) => format!("{} (×{ratio:.1})", short(spread.median)),
        None => short(spread.median),
    };
    let mut shapes = text(LEFT - 8.0, middle + 4.0, "end", 12, &name);
    shapes += &format!(
        "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
         <line x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\" stroke=\"#1a202c\"/>\n"
    );
    shapes + &text(LEFT + width.max(to - LEFT) + 8.0, middle + 4.0, "start", 12, &said)
}

fn text(x: f64, y: f64, anchor: &str, size: u32, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#1a202c\">{words}</text>\n"
    )
}

/// Lines of so many characters at most.
fn wrapped(words: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let full =
            lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= most);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}
