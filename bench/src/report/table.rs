//! The table of a scenario, for terminals and as Markdown alike.

use super::{Outcome, Row, Spread};
use crate::{load::Dialect, scenarios::Figure, systems::System};

/// Medians with their spread, and how many times better parlor is (below 1: worse); then the same on the peers' own wire,
/// where parlor was measured on it.
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
        "{}: {}. {runs}; × is how many times better parlor is.\n\n{}{}",
        outcome.scenario,
        outcome.what,
        aligned(&lines),
        on_socket_io(outcome).unwrap_or_default()
    )
}

/// How many times better parlor is than the peers when it speaks Socket.IO as they do.
fn on_socket_io(outcome: &Outcome) -> Option<String> {
    let ours = System::ParlorSocketIo.name();
    let peers: Vec<&Row> = outcome
        .rows
        .iter()
        .filter(|row| row.case.is_empty() && row.system != ours)
        .filter(|row| {
            System::named(&row.system).is_some_and(|peer| peer.dialect() == Dialect::SocketIo)
        })
        .collect();
    let ratios = |figure: &Figure| -> Option<Vec<String>> {
        let of = |row: &&Row| ratio(outcome, ours, row, *figure);
        let ratios = peers.iter().map(|row| of(row).map(|ratio| format!("×{ratio:.1}")));
        ratios.collect()
    };
    let columns: Vec<(Figure, Vec<String>)> = outcome
        .figures()
        .into_iter()
        .filter_map(|figure| Some((figure, ratios(&figure)?)))
        .collect();
    if peers.is_empty() || columns.is_empty() {
        return None;
    }
    let mut head = vec![format!("{ours} beside")];
    head.extend(columns.iter().map(|(figure, _)| figure.heading(&outcome.unit)));
    let mut lines = vec![head];
    for (place, peer) in peers.iter().enumerate() {
        let ratios = columns.iter().map(|(_, ratios)| ratios[place].clone());
        lines.push(std::iter::once(peer.system.clone()).chain(ratios).collect());
    }
    Some(format!("\n{}", aligned(&lines)))
}

fn cell(outcome: &Outcome, row: &Row, figure: Figure) -> String {
    let Some(Spread { median, least, most }) = row.spread(figure) else { return String::new() };
    let mut cell = short(median);
    if row.runs.len() > 1 {
        cell += &format!(" ({}–{})", short(least), short(most));
    }
    match ratio(outcome, System::Parlor.name(), row, figure) {
        Some(ratio) => format!("{cell} ×{ratio:.1}"),
        None => cell,
    }
}

/// How many times better the median of `ours`, one of parlor's rows, is than this row's.
pub(super) fn ratio(outcome: &Outcome, ours: &str, row: &Row, figure: Figure) -> Option<f64> {
    let more = figure.more_is_better()?;
    let ours = outcome.row(&row.case, ours).filter(|ours| ours.system != row.system)?;
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

    fn outcome(rows: Vec<Row>) -> Outcome {
        let blank = String::new;
        Outcome {
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
            rows,
        }
    }

    #[test]
    fn ratios_say_how_many_times_better_parlor_is() {
        let rows =
            vec![row("parlor", &[30_000.0, 31_000.0], 16.0), row("other", &[3_050.0], 160.0)];
        let outcome = outcome(rows);
        let table = table(&outcome);
        let other = table.lines().find(|line| line.contains("other")).unwrap();
        assert!(other.contains("3,050 ×10.0") && other.contains("160 ×10.0"), "{table}");
        assert!(table.contains("30,500 (30,000–31,000)"), "{table}");
    }

    #[test]
    fn on_their_own_wire_the_peers_are_compared_with_parlors_socket_io() {
        let outcome = outcome(vec![
            row("parlor", &[30_000.0], 10.0),
            row("parlor-socketio", &[9_000.0], 20.0),
            row("node-socketio-pg", &[6_000.0], 50.0),
            row("floor", &[50_000.0], 5.0),
        ]);
        let table = table(&outcome);
        let (_, own) = table.split_once("parlor-socketio beside").unwrap();
        let peer = own.lines().find(|line| line.contains("node-socketio-pg")).unwrap();
        assert!(peer.contains("×1.5") && peer.contains("×2.5"), "{table}");
        assert!(!own.contains("floor") && !own.contains("| parlor"), "{table}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.954, 9.5, 12.34, 345.6, 3456.7, 1_234_567.0].map(short);
        assert_eq!(shown, ["0.00", "0.95", "9.50", "12.3", "346", "3,457", "1,234,567"]);
    }
}
