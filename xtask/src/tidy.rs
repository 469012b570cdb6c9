//! Checks on the files themselves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    metadata::{Package, members},
    run::{Outcome, root},
};

/// A longer Rust file is split.
const MAX_LINES: usize = 500;

/// Folders whose contents are not ours.
const SKIPPED: [&str; 3] = [".git", "node_modules", "target"];

/// First folders of paths that exist on somebody's machine alone.
const MACHINE_FOLDERS: [&str; 5] = ["home", "root", "Users", "work", "workspace"];

/// What crates.io shows, and what a published member has to say.
const REQUIRED_FIELDS: [&str; 3] = ["description", "license", "repository"];

const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// Checks the length of Rust files, paths of machines, licences and manifests, and names all that is wrong.
pub(crate) fn check() -> Outcome {
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    walk(root(), &mut files)?;
    for file in &files {
        let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        // What is no text is a picture or a database.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let name = file.strip_prefix(root()).unwrap_or(file).display();
        if file.extension().is_some_and(|extension| extension == "rs") {
            let lines = text.lines().count();
            if lines > MAX_LINES {
                wrong.push(format!("{name}: {lines} lines, at most {MAX_LINES} are allowed"));
            }
        }
        for (line, path) in machine_paths(&text) {
            wrong.push(format!("{name}:{line}: names a path of one machine: {path}"));
        }
    }
    for package in members()?.iter().filter(|package| package.is_published()) {
        wrong.extend(incomplete(package));
    }
    if wrong.is_empty() {
        println!("{} files", files.len());
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let error = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let kind = entry.file_type().map_err(error)?;
        let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
        // Cargo tags its target directory, whatever its name.
        if kind.is_dir() && !skipped && !entry.path().join("CACHEDIR.TAG").exists() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() && !skipped {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Lines (from 1) that name an absolute path below a machine's own folders; the path of a URL is none.
fn machine_paths(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = line.split(|c: char| c.is_whitespace() || "\"'`()<>[]=,;:".contains(c));
        for word in words {
            let mut parts = word.split('/');
            let absolute = parts.next() == Some("");
            let first = parts.next().unwrap_or_default();
            let below = parts.next().is_some_and(|part| !part.is_empty());
            if absolute && below && MACHINE_FOLDERS.contains(&first) {
                found.push((index + 1, word));
            }
        }
    }
    found
}

/// What a published member lacks.
fn incomplete(package: &Package) -> Vec<String> {
    let mut lacks = Vec::new();
    for field in REQUIRED_FIELDS {
        if package.text(field).is_none_or(str::is_empty) {
            lacks.push(format!("{}: the manifest has no {field}", package.name()));
        }
    }
    for licence in LICENCES {
        let own = fs::read(package.folder().join(licence)).ok();
        if own.is_none() || own != fs::read(root().join(licence)).ok() {
            lacks.push(format!("{}: {licence} is not a copy of the root's", package.name()));
        }
    }
    lacks
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_of_a_machine_is_found_and_a_path_of_a_url_is_not() {
        let path = |folder: &str| format!("/{folder}/ann/parlor");
        for folder in MACHINE_FOLDERS {
            let text = format!("fine\nlet a = \"{}\";", path(folder));
            assert_eq!(machine_paths(&text), [(2, path(folder).as_str())]);
        }
        assert!(machine_paths("https://example.org/home/page and /usr/bin/chromium").is_empty());
        assert!(machine_paths("GET /home/ and ./work/x").is_empty());
    }

    #[test]
    fn a_member_without_description_or_licence_is_named() {
        let bare = Package::from(json!({
            "name": "bare",
            "license": "MIT",
            "repository": "https://example.org",
            "manifest_path": "nowhere/Cargo.toml",
        }));
        let lacks = incomplete(&bare);
        assert_eq!(lacks.len(), 3, "{lacks:?}");
        assert!(lacks[0].contains("description"));
        assert!(lacks[1].contains("LICENSE-MIT") && lacks[2].contains("LICENSE-APACHE"));
    }
}
