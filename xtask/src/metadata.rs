//! What `cargo metadata` knows of the workspace and its dependencies.

use std::path::PathBuf;

use serde_json::Value;

use crate::run::{Outcome, cargo, output};

/// Features that the test run leaves out: aws-lc takes cmake and minutes to build.
const LEFT_OUT: [&str; 1] = ["jwt-aws-lc"];

/// A package, of the workspace or a dependency.
pub(crate) struct Package(Value);

/// The packages of the workspace, without their dependencies. Reads nothing but our own manifests.
pub(crate) fn members() -> Outcome<Vec<Package>> {
    packages(&["--no-deps"])
}

/// The members and everything they depend on with any feature, for this machine's platform.
pub(crate) fn everything() -> Outcome<Vec<Package>> {
    packages(&["--all-features", "--filter-platform", &host()?])
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Outcome<PathBuf> {
    let metadata = read(&["--no-deps"])?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target directory".to_owned())
}

/// The one feature set of the whole run, so that clippy, rustdoc and the tests share what they compile:
/// every feature of every member but those left out.
pub(crate) fn feature_set() -> Outcome<String> {
    let mut features = Vec::new();
    for package in members()? {
        for feature in package.features() {
            features.push(format!("{}/{feature}", package.name()));
        }
    }
    Ok(features.join(","))
}

impl Package {
    /// The name.
    pub(crate) fn name(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    /// A field of the manifest that is a text, resolved from the workspace where it is inherited.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.0[field].as_str()
    }

    /// Whether it goes to crates.io.
    pub(crate) fn is_published(&self) -> bool {
        // `publish = false` is an empty list of registries here.
        self.0["publish"].as_array().is_none_or(|registries| !registries.is_empty())
    }

    /// The folder of the manifest.
    pub(crate) fn folder(&self) -> PathBuf {
        let mut manifest = PathBuf::from(self.text("manifest_path").unwrap_or_default());
        manifest.pop();
        manifest
    }

    /// The features that the test run builds.
    pub(crate) fn features(&self) -> Vec<&str> {
        let features = self.0["features"].as_object().into_iter().flat_map(|table| table.keys());
        features.map(String::as_str).filter(|feature| !LEFT_OUT.contains(feature)).collect()
    }
}

impl From<Value> for Package {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

fn packages(options: &[&str]) -> Outcome<Vec<Package>> {
    match read(options)?["packages"].take() {
        Value::Array(packages) => Ok(packages.into_iter().map(Package::from).collect()),
        _ => Err("cargo metadata lists no packages".to_owned()),
    }
}

fn read(options: &[&str]) -> Outcome<Value> {
    let text = output(cargo().args(["metadata", "--format-version", "1"]).args(options))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

fn host() -> Outcome<String> {
    let version = output(cargo().args(["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "cargo does not name its host".to_owned())
}
