//! Installs the Node peers by their lock files, and compiles the one in TypeScript.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use super::System;
use crate::Result;

/// The folder of a peer.
pub(super) fn folder(system: System) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(system.name())
}

/// Makes a peer ready to start, when it is not. Returns its main file.
pub(super) fn prepare(system: System) -> Result<PathBuf> {
    let folder = folder(system);
    // npm writes this one at the end of an installation.
    let installed = changed(&folder.join("node_modules/.package-lock.json"));
    if installed < changed(&folder.join("package-lock.json")) {
        npm(&folder, &["ci", "--no-audit", "--no-fund"])?;
    }
    if system != System::Nest {
        return Ok(folder.join("server.js"));
    }
    let main = folder.join("dist/main.js");
    let sources = newest(&folder.join("src")).max(changed(&folder.join("tsconfig.json")));
    if changed(&main) < sources {
        npm(&folder, &["run", "build"])?;
    }
    Ok(main)
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<()> {
    println!("npm {} in {}", arguments.join(" "), folder.file_name().unwrap_or_default().display());
    let output = Command::new("npm").args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("npm (Node 20 or newer is needed): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("npm {}: {}\n{said}", arguments.join(" "), output.status).into())
}

/// When a file last changed; long ago if there is none.
fn changed(file: &Path) -> SystemTime {
    fs::metadata(file).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries.map(|entry| {
        let path = entry.path();
        if path.is_dir() { newest(&path) } else { changed(&path) }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}
