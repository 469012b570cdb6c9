//! What was found: tables of ratios, plots, and the figures themselves.

mod machine;
mod plot;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) use machine::Machine;
pub(crate) use table::table;

use crate::{
    Result,
    scenarios::{Figure, Figures, Scenario},
};

/// What a scenario gave.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    /// What is counted.
    pub(crate) unit: String,
    /// The work, in words.
    pub(crate) what: String,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
}

/// One system in one case.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) system: String,
    pub(crate) runs: Vec<Figures>,
}

/// A figure over several runs.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Row {
    /// A figure over all runs, where it was measured.
    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        let mut values: Vec<f64> =
            self.runs.iter().filter_map(|run| run.get(&figure).copied()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (upper, lower) = (values[values.len() / 2], values[(values.len() - 1) / 2]);
        Some(Spread { median: (upper + lower) / 2.0, least, most })
    }
}

impl Outcome {
    /// The figures that any row has.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<Figure> = self
            .rows
            .iter()
            .flat_map(|row| &row.runs)
            .flat_map(|run| run.keys().copied())
            .collect();
        figures.sort_unstable();
        figures.dedup();
        figures
    }

    /// A system's row of a case.
    pub(crate) fn row(&self, case: &str, system: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case && row.system == system)
    }
}

/// Where results go by default.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

/// Writes a scenario's figures and its plot.
pub(crate) fn write(folder: &Path, outcome: &Outcome) -> Result<()> {
    fs::create_dir_all(folder)?;
    let file = |ending: &str| folder.join(format!("{}.{ending}", outcome.scenario));
    fs::write(file("json"), serde_json::to_string_pretty(outcome)? + "\n")?;
    fs::write(file("svg"), plot::plot(outcome))?;
    Ok(())
}

/// Writes one page with the tables of all scenarios that have results in the folder.
pub(crate) fn write_tables(folder: &Path) -> Result<()> {
    let mut page = "# Results\n\nWritten by `cargo xtask bench`; what is measured and how is in `docs/performance.md`.\n".to_owned();
    for scenario in Scenario::ALL {
        let Ok(text) = fs::read_to_string(folder.join(format!("{}.json", scenario.name()))) else {
            continue;
        };
        let outcome: Outcome = serde_json::from_str(&text)?;
        let machine = &outcome.machine;
        let name = scenario.name();
        page += &format!(
            "\n## {name}\n\n{}\n\n![{name}]({name}.svg)\n\n{}\n",
            machine.line(),
            table(&outcome)
        );
    }
    Ok(fs::write(folder.join("README.md"), page)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_least_and_the_most() {
        let runs = |values: &[f64]| Row {
            case: String::new(),
            system: "parlor".into(),
            runs: values.iter().map(|value| Figures::from([(Figure::Rate, *value)])).collect(),
        };
        let spread = runs(&[3.0, 1.0, 10.0]).spread(Figure::Rate).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 3.0, 10.0));
        let spread = runs(&[3.0, 1.0]).spread(Figure::Rate).unwrap();
        assert_eq!(spread.median, 2.0);
        assert!(runs(&[1.0]).spread(Figure::P99).is_none());
    }
}
