//! Checks on dependencies and features.

use crate::{
    metadata::{Package, everything, members},
    run::{Outcome, cargo, command, find, output, run},
};

/// What the core must never depend on, by itself or as a part of a name (`axum-core`, `tower-service`).
const FORBIDDEN: [&str; 8] =
    ["axum", "hyper", "tower", "sqlx", "libsqlite3", "redis", "socketioxide", "tungstenite"];

/// The core names no transport and no database, whatever its features.
pub(crate) fn guard() -> Outcome {
    let tree =
        output(cargo().args(["tree", "--package", "parlor-core", "--all-features"]).args([
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ]))?;
    let found = forbidden(&tree);
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("parlor-core must not depend on: {}", found.join(", ")))
    }
}

fn forbidden(tree: &str) -> Vec<&str> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.split(['-', '_']).any(|part| FORBIDDEN.contains(&part)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// No dependency claims to need a newer Rust than a published member does.
pub(crate) fn rust_version() -> Outcome {
    let claimed = claimed()?;
    let limit = version(&claimed).ok_or_else(|| format!("{claimed:?} is not a Rust version"))?;
    let dependencies = everything()?;
    let newer = newer(&dependencies, limit);
    if newer.is_empty() {
        let count = dependencies.len();
        println!("We claim Rust {claimed}, and none of {count} packages claims a newer one.");
        Ok(())
    } else {
        Err(format!("We claim Rust {claimed}, but:\n{}", newer.join("\n")))
    }
}

/// Checks the claimed minimum Rust version, by the dependencies' claims and by that very toolchain.
pub(crate) fn msrv() -> Outcome {
    rust_version()?;
    let claimed = claimed()?;
    let toolchain = installed(&claimed)?;
    let Some(toolchain) = toolchain else {
        println!(
            "NOT compiled with it: that toolchain is not installed (rustup toolchain install {claimed})."
        );
        return Ok(());
    };
    // Without the settings that rustup made for the toolchain that runs this.
    let mut check = command("rustup");
    check.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC");
    check.args(["run", &toolchain, "cargo", "check"]);
    for package in members()?.iter().filter(|package| package.is_published()) {
        check.args(["--package", package.name()]);
    }
    run(&mut check)?;
    println!("Compiles with {toolchain}.");
    Ok(())
}

/// Each feature of each published member compiles alone, and so does none at all.
pub(crate) fn features() -> Outcome {
    for package in members()?.iter().filter(|package| package.is_published()) {
        lint_alone(package, None)?;
        for feature in package.features() {
            lint_alone(package, Some(feature))?;
        }
    }
    Ok(())
}

/// Clippy and not check: it refuses what is left unused when a feature is off, and costs no more.
fn lint_alone(package: &Package, feature: Option<&str>) -> Outcome {
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--package", package.name(), "--no-default-features"]);
    if let Some(feature) = feature {
        clippy.args(["--features", feature]);
    }
    run(clippy.args(["--", "-D", "warnings"]))
}

/// The Rust version that the published members claim, all the same one.
fn claimed() -> Outcome<String> {
    let members = members()?;
    let mut claims: Vec<&str> = members
        .iter()
        .filter(|package| package.is_published())
        .map(|package| package.text("rust_version").unwrap_or("none"))
        .collect();
    claims.dedup();
    match claims.as_slice() {
        [one] => Ok((*one).to_owned()),
        _ => Err(format!("the published members claim different Rust versions: {claims:?}")),
    }
}

fn newer(packages: &[Package], limit: [u32; 3]) -> Vec<String> {
    let claims = packages.iter().filter_map(|package| {
        let claim = package.text("rust_version")?;
        (version(claim)? > limit).then(|| {
            let own = package.text("version").unwrap_or_default();
            format!("  {} {own} claims {claim}", package.name())
        })
    });
    claims.collect()
}

/// `1.94` and `1.94.0` as numbers.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (at, part) in text.split('.').enumerate() {
        *numbers.get_mut(at)? = part.parse().ok()?;
    }
    Some(numbers)
}

/// The installed toolchain of a Rust version (`1.94-…` or `1.94.0-…`).
fn installed(claimed: &str) -> Outcome<Option<String>> {
    if find("rustup").is_none() {
        return Ok(None);
    }
    let list = output(command("rustup").args(["toolchain", "list"]))?;
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let wanted = version(claimed);
    let found = names
        .map(str::to_owned)
        .find(|name| name.split('-').next().and_then(version) == wanted && wanted.is_some());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forbidden_crates_are_found_by_name_and_by_part_of_a_name() {
        let tree = "parlor-core v0.1.0 (path)\nbytes v1.12.0\naxum-core v0.5.5\n\
                    tokio-tungstenite v0.30.0\nlibsqlite3-sys v0.35.0\naxum-core v0.5.5 (*)";
        assert_eq!(forbidden(tree), ["axum-core", "libsqlite3-sys", "tokio-tungstenite"]);
        assert!(forbidden("tokio v1.54.0\ntracing-core v0.1.0").is_empty());
    }

    #[test]
    fn a_dependency_that_claims_a_newer_rust_is_named() {
        let package = |name: &str, claim: serde_json::Value| {
            Package::from(json!({ "name": name, "version": "1.0.0", "rust_version": claim }))
        };
        let packages = [
            package("old", json!("1.63")),
            package("same", json!("1.94.0")),
            package("silent", json!(null)),
            package("new", json!("1.94.1")),
        ];
        assert_eq!(newer(&packages, [1, 94, 0]), ["  new 1.0.0 claims 1.94.1"]);
    }
}
