//! Runs the scenarios, each system in turn, several times, and reports.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use parlor_test_services::Postgres;

use crate::{
    Result,
    report::{self, Machine, Outcome, Row},
    scenarios::{self, Figures, Plan, Prepared, Scenario},
    systems::{Settings, System},
};

/// What is compared.
pub(crate) struct Comparison {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) systems: Vec<System>,
    pub(crate) runs: usize,
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
}

/// Runs all, prints a table after each scenario, and writes the results where a folder is given.
pub(crate) async fn run(comparison: Comparison, results: Option<&Path>) -> Result<()> {
    let postgres = Arc::new(Postgres::start()?);
    let machine = Machine::read(&postgres)?;
    println!("{machine}\n");
    for scenario in &comparison.scenarios {
        let started = Instant::now();
        let outcome = compare(*scenario, &comparison, &postgres, &machine).await?;
        println!("\n{}", report::table(&outcome));
        println!("{} took {:.0} s\n", scenario.name(), started.elapsed().as_secs_f64());
        if let Some(folder) = results {
            report::write(folder, &outcome)?;
        }
    }
    if let Some(folder) = results {
        report::write_tables(folder)?;
        println!("Tables and plots: {}", folder.display());
    }
    Ok(())
}

async fn compare(
    scenario: Scenario,
    comparison: &Comparison,
    postgres: &Arc<Postgres>,
    machine: &Machine,
) -> Result<Outcome> {
    let Comparison { systems, runs, plan, settings, .. } = comparison;
    let able = scenario.systems().into_iter().filter(|system| systems.contains(system));
    let mut taken: Vec<(System, Vec<Vec<Figures>>)> = able.map(|system| (system, vec![])).collect();
    let mut kept: BTreeMap<&str, Prepared> = BTreeMap::new();
    let mut cases: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for run in 1..=*runs {
        for (system, taken) in &mut taken {
            let name = system.name();
            println!("{}: {name}, run {run} of {runs}", scenario.name());
            let wrong = |error| format!("{} of {name}: {error}", scenario.name());
            let prepared = match kept.remove(name) {
                Some(prepared) => prepared,
                None => {
                    scenarios::prepare(scenario, *system, plan, postgres).await.map_err(wrong)?
                }
            };
            let figures = scenarios::run(scenario, *system, plan, settings, &prepared);
            taken.push(figures.await.map_err(wrong)?);
            let names = prepared.cases.iter().map(|case| case.name.clone());
            cases.insert(name, names.collect());
            if scenario.only_reads() {
                kept.insert(name, prepared);
            }
        }
    }
    Ok(Outcome {
        scenario: scenario.name().to_owned(),
        unit: scenario.unit().to_owned(),
        what: plan.words(scenario),
        machine: machine.clone(),
        rows: rows(&taken, &cases),
    })
}

/// A row for each system that has a case. Some peers have not all of parlor's.
fn rows(taken: &[(System, Vec<Vec<Figures>>)], cases: &BTreeMap<&str, Vec<String>>) -> Vec<Row> {
    let most = cases.values().max_by_key(|cases| cases.len());
    let mut rows = Vec::new();
    for case in most.into_iter().flatten() {
        for (system, runs) in taken {
            let own = cases.get(system.name()).and_then(|own| own.iter().position(|it| it == case));
            if let Some(place) = own {
                rows.push(Row {
                    case: case.clone(),
                    system: system.name().to_owned(),
                    runs: runs.iter().map(|run| run[place].clone()).collect(),
                });
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Figure;

    #[test]
    fn a_figure_is_of_the_case_that_it_was_measured_in() {
        let run = |rates: &[f64]| -> Vec<Figures> {
            rates.iter().map(|rate| Figures::from([(Figure::Rate, *rate)])).collect()
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (parlor, peer) = (System::ALL[0], System::ALL[1]);
        let taken = [(parlor, vec![run(&[1.0, 2.0, 3.0])]), (peer, vec![run(&[10.0, 30.0])])];
        let cases = BTreeMap::from([
            (parlor.name(), names(&["page", "list", "old page"])),
            (peer.name(), names(&["page", "old page"])),
        ]);
        let rows = rows(&taken, &cases);
        let rates = rows.iter().map(|row| (row.case.as_str(), row.runs[0][&Figure::Rate]));
        let expected =
            [("page", 1.0), ("page", 10.0), ("list", 2.0), ("old page", 3.0), ("old page", 30.0)];
        assert_eq!(rates.collect::<Vec<_>>(), expected);
    }
}
