//! Debian's packages of what the tests need.

use crate::run::{Outcome, command, find, output, run};

/// Installs these packages when that is possible; otherwise the error says how to, and `elsewhere` what
/// to do where there are no such packages.
pub(crate) fn install(packages: &[&str], elsewhere: &str) -> Outcome {
    if packages.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() || !is_root()? {
        return Err(format!(
            "{elsewhere}\nOn Debian: sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        ));
    }
    run(command("apt-get").args(["update", "--quiet"]))?;
    run(command("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages))
}

fn is_root() -> Outcome<bool> {
    Ok(output(command("id").arg("-u"))?.trim() == "0")
}
