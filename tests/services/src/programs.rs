//! Finding and running the servers' programs.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// Debian's packages of what [`missing`] names.
pub const PACKAGES: [&str; 2] = ["postgresql", "redis-server"];

/// Debian's packages of the servers that are not installed.
pub fn missing() -> Vec<&'static str> {
    let mut packages = Vec::new();
    if postgres_folder().is_err() {
        packages.push(PACKAGES[0]);
    }
    if redis_server().is_err() {
        packages.push(PACKAGES[1]);
    }
    packages
}

fn not_installed(what: &str, package: &str) -> String {
    format!(
        "{what} is not installed. On Debian: sudo apt-get install --no-install-recommends {package}"
    )
}

/// The folder of `initdb`, `pg_ctl` and `psql`, of one version.
pub(crate) fn postgres_folder() -> Result<PathBuf, String> {
    // Debian keeps them off the PATH, by version.
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    debian.sort();
    debian
        .pop()
        .map(|(_, folder)| folder)
        .or_else(|| Some(fs::canonicalize(find("initdb")?).ok()?.parent()?.to_owned()))
        .ok_or_else(|| not_installed("PostgreSQL (initdb, pg_ctl)", PACKAGES[0]))
}

pub(crate) fn redis_server() -> Result<PathBuf, String> {
    find("redis-server")
        .or_else(|| find("valkey-server"))
        .ok_or_else(|| not_installed("Redis (redis-server)", PACKAGES[1]))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Who the servers run as: Postgres refuses to be root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

/// Somebody else when we are root; `None` when we run them as ourselves.
pub(crate) fn account() -> Result<Option<Account>, String> {
    static ACCOUNT: LazyLock<Result<Option<Account>, String>> = LazyLock::new(|| {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let user = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
        Ok(Some(Account { uid: id(&["-u", user])?, gid: id(&["-g", user])? }))
    });
    ACCOUNT.clone()
}

fn id(args: &[&str]) -> Result<u32, String> {
    let text = run(Command::new("id").args(args))?;
    text.trim().parse().map_err(|error| format!("id {}: {error}", args.join(" ")))
}

/// A folder of the servers' own.
pub(crate) fn folder(name: &str) -> Result<PathBuf, String> {
    let folder = tempfile::Builder::new().prefix(&format!("parlor-{name}-")).tempdir();
    // The guardian removes it, so that it goes even when we are killed.
    let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?.keep();
    if let Some(account) = account()? {
        std::os::unix::fs::chown(&folder, Some(account.uid), Some(account.gid))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(folder)
}

/// A command in this folder, as the servers' account.
pub(crate) fn command(
    program: impl AsRef<std::ffi::OsStr>,
    folder: &Path,
) -> Result<Command, String> {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    if let Some(account) = account()? {
        command.uid(account.uid).gid(account.gid);
    }
    Ok(command)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}\n{text}{words}", output.status))
}
