//! A Postgres server.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    free_port,
    guardian::Guardian,
    programs::{command, folder, postgres_folder, run},
};

/// A Postgres server on this machine. One that we started keeps its defaults of durability.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    address: SocketAddr,
    own: Option<Own>,
}

/// What belongs to a server that we started.
#[derive(Debug)]
struct Own {
    programs: PathBuf,
    folder: PathBuf,
    _guardian: Guardian,
}

impl Postgres {
    /// Starts a server of one's own, with a superuser `postgres` that needs no password.
    ///
    /// # Errors
    /// What is missing, or what the server said.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// Starts one with settings besides, each as `name=value`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(settings: &[&str]) -> Result<Self, String> {
        let programs = postgres_folder()?;
        let folder = folder("postgres")?;
        let stop = format!("'{}' stop -D data -m immediate", programs.join("pg_ctl").display());
        let guardian = Guardian::new(command("sh", &folder)?, &folder, &stop)?;
        run(command(programs.join("initdb"), &folder)?
            .args(["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync"]))?;
        let own = Own { programs, folder, _guardian: guardian };
        let mut last = String::new();
        // Another process may take the port between our asking and the server's binding.
        for _ in 0..3 {
            let port = free_port()?;
            let mut options = format!(
                "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} \
                 -c max_connections=200",
                own.folder.display()
            );
            for setting in settings {
                options.push_str(&format!(" -c {setting}"));
            }
            match own.control(&["start", "-w", "-t", "60", "-o", &options]) {
                Ok(()) => {
                    let address = SocketAddr::from(([127, 0, 0, 1], port));
                    let url = format!("postgres://postgres@{address}/postgres");
                    return Ok(Self { url, address, own: Some(own) });
                }
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// The server of this URL, whose user may make databases.
    ///
    /// # Errors
    /// When the URL names no server.
    pub fn at(url: &str) -> Result<Self, String> {
        let wrong = || format!("PARLOR_TEST_POSTGRES is not a URL of a server: {url}");
        let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
        let host = authority.and_then(|authority| authority.rsplit('@').next());
        let host = host.ok_or_else(wrong)?;
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
        let address = host.to_socket_addrs().ok().and_then(|mut found| found.next());
        Ok(Self { url: url.to_owned(), address: address.ok_or_else(wrong)?, own: None })
    }

    /// The URL of the server's first database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process ids of all that belongs to the server, the first the postmaster's. Empty for a server that we did
    /// not start.
    pub fn pids(&self) -> Vec<u32> {
        let Some(own) = &self.own else { return Vec::new() };
        let file = std::fs::read_to_string(own.folder.join("data/postmaster.pid"));
        let main = file.ok().and_then(|text| text.lines().next()?.trim().parse::<u32>().ok());
        let Some(main) = main else { return Vec::new() };
        let children = run(Command::new("ps").args(["-o", "pid=", "--ppid", &main.to_string()]))
            .unwrap_or_default();
        std::iter::once(main)
            .chain(children.lines().filter_map(|line| line.trim().parse().ok()))
            .collect()
    }

    /// Makes a database and returns its URL.
    ///
    /// # Panics
    /// When the server does not do it.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("parlor_{}_{count}", std::process::id());
        self.psql(&self.url, &format!("DROP DATABASE IF EXISTS {name}"));
        self.psql(&self.url, &format!("CREATE DATABASE {name}"));
        let (server, _) = self.url.rsplit_once('/').unwrap_or((&self.url, ""));
        format!("{server}/{name}")
    }

    /// Runs SQL by `psql`, all or nothing, and returns what it printed, unaligned and without headings.
    ///
    /// # Panics
    /// When it fails.
    pub fn psql(&self, url: &str, sql: &str) -> String {
        let program = match &self.own {
            Some(own) => own.programs.join("psql"),
            None => postgres_folder().map_or_else(|_| "psql".into(), |folder| folder.join("psql")),
        };
        let done = run(Command::new(program)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
            .stdin(Stdio::null()));
        done.unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Restarts it as after a crash: nothing is finished, connections break.
    ///
    /// # Panics
    /// When the server is not ours or does not come back.
    pub fn restart(&self) {
        self.own().control(&["restart", "-m", "immediate", "-w", "-t", "60"]).unwrap_or_else(fail);
    }

    /// Stops it as in a crash.
    ///
    /// # Panics
    /// When the server is not ours or does not stop.
    pub fn kill(&self) {
        self.own().control(&["stop", "-m", "immediate", "-w", "-t", "60"]).unwrap_or_else(fail);
    }

    /// Starts it again on the same port after [`Self::kill`].
    ///
    /// # Panics
    /// When the server is not ours or does not start.
    pub fn revive(&self) {
        // The options of the first start are in the folder; `restart` reads them, also when it is down.
        self.restart();
    }

    fn own(&self) -> &Own {
        match &self.own {
            Some(own) => own,
            None => panic!("a server that the tests did not start is not stopped by them"),
        }
    }
}

fn fail(reason: String) {
    panic!("{reason}")
}

impl Own {
    fn control(&self, args: &[&str]) -> Result<(), String> {
        let mut control = command(self.programs.join("pg_ctl"), &self.folder)?;
        // The server must not inherit a pipe that we read to its end.
        let status = control
            .args(["-D", "data", "-l", "log", "-s"])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("pg_ctl: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(format!("pg_ctl {}: {status}\n{}", args.join(" "), tail.join("\n")))
    }
}
