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
    // The peers have the same cases as parlor, or the first of them.
    let most = cases.values().max_by_key(|cases| cases.len()).cloned().unwrap_or_default();
    let rows = most.iter().enumerate().flat_map(|(place, case)| {
        let has = |system: &System| cases.get(system.name()).is_some_and(|own| place < own.len());
        let able: Vec<_> = taken.iter().filter(|(system, _)| has(system)).collect();
        able.into_iter().map(move |(system, runs)| Row {
            case: case.clone(),
            system: system.name().to_owned(),
            runs: runs.iter().map(|run| run[place].clone()).collect(),
        })
    });
    Ok(Outcome {
        scenario: scenario.name().to_owned(),
        unit: scenario.unit().to_owned(),
        what: plan.words(scenario),
        machine: machine.clone(),
        rows: rows.collect(),
    })
}
