//! The table of a scenario, for terminals and as Markdown alike.

use super::{Outcome, Row, Spread};
use crate::scenarios::Figure;

/// Medians with their spread, and how many times better parlor is in brackets (below 1: worse).
pub(crate) fn table(outcome: &Outcome) -> String {
    let figures = outcome.figures();
    let cases = outcome.rows.iter().any(|row| !row.case.is_empty());
    let mut head = vec!["system".to_owned()];
    head.extend(figures.iter().map(|figure| figure.heading(&outcome.unit)));
    if cases {
        head.insert(0, "case".into());
    }
    let mut lines = vec![head];
    for row in &outcome.rows {
        let mut line = vec![row.system.clone()];
        line.extend(figures.iter().map(|figure| cell(outcome, row, *figure)));
        if cases {
            line.insert(0, row.case.clone());
        }
        lines.push(line);
    }
    let runs = outcome.rows.iter().map(|row| row.runs.len()).max().unwrap_or_default();
    let runs = match runs {
        1 => "One run".to_owned(),
        _ => format!("Medians of {runs} alternating runs, with the least and the most"),
    };
    format!(
        "{}: {}. {runs}; × is how many times better parlor is.\n\n{}",
        outcome.scenario,
        outcome.what,
        aligned(&lines)
    )
}

fn cell(outcome: &Outcome, row: &Row, figure: Figure) -> String {
    let Some(Spread { median, least, most }) = row.spread(figure) else { return String::new() };
    let mut cell = short(median);
    if row.runs.len() > 1 {
        cell += &format!(" ({}–{})", short(least), short(most));
    }
    match ratio(outcome, row, figure) {
        Some(ratio) => format!("{cell} ×{ratio:.1}"),
        None => cell,
    }
}

/// How many times better parlor's median is than this row's.
pub(super) fn ratio(outcome: &Outcome, row: &Row, figure: Figure) -> Option<f64> {
    let more = figure.more_is_better()?;
    let ours = outcome.ours(&row.case).filter(|ours| ours.system != row.system)?;
    let (ours, theirs) = (ours.spread(figure)?.median, row.spread(figure)?.median);
    let ratio = if more { ours / theirs } else { theirs / ours };
    ratio.is_finite().then_some(ratio)
}

/// Three digits, or all before the point.
pub(super) fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if digits > 0 || text.len() < 4 {
        return text;
    }
    let grouped: Vec<&str> = text
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    grouped.join(",")
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        text += &format!("|{}\n", cells.collect::<String>());
        if number == 0 {
            let rules = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2)));
            text += &format!("|{}\n", rules.collect::<String>());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::Machine, scenarios::Figures};

    fn row(system: &str, rates: &[f64], cpu: f64) -> Row {
        let run = |rate| Figures::from([(Figure::Rate, rate), (Figure::ServerCpu, cpu)]);
        Row {
            case: String::new(),
            system: system.into(),
            runs: rates.iter().map(|rate| run(*rate)).collect(),
        }
    }

    #[test]
    fn ratios_say_how_many_times_better_parlor_is() {
        let blank = String::new;
        let outcome = Outcome {
            scenario: "direct".into(),
            unit: "message".into(),
            what: "messages".into(),
            machine: Machine {
                command: blank(),
                date: blank(),
                commit: blank(),
                processors: blank(),
                memory: blank(),
                kernel: blank(),
                load_before: blank(),
                postgres: blank(),
                node: blank(),
                rust: blank(),
            },
            rows: vec![row("parlor", &[30_000.0, 31_000.0], 16.0), row("other", &[3_050.0], 160.0)],
        };
        let table = table(&outcome);
        let other = table.lines().find(|line| line.contains("other")).unwrap();
        assert!(other.contains("3,050 ×10.0") && other.contains("160 ×10.0"), "{table}");
        assert!(table.contains("30,500 (30,000–31,000)"), "{table}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.954, 9.5, 12.34, 345.6, 3456.7, 1_234_567.0].map(short);
        assert_eq!(shown, ["0.00", "0.95", "9.50", "12.3", "346", "3,457", "1,234,567"]);
    }
}
