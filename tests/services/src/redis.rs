//! A Redis server.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    free_port,
    guardian::Guardian,
    programs::{command, folder, redis_server, run},
};

/// A Redis server on this machine. One that we started keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    url: String,
    address: SocketAddr,
    own: Option<Own>,
}

/// What belongs to a server that we started.
#[derive(Debug)]
struct Own {
    folder: PathBuf,
    settings: Vec<String>,
    _guardian: Guardian,
}

impl Redis {
    /// Starts a server of one's own.
    ///
    /// # Errors
    /// What is missing, or what the server said.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// Starts one with arguments besides, such as `--requirepass`, `secret`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(settings: &[&str]) -> Result<Self, String> {
        redis_server()?;
        let folder = folder("redis")?;
        let guardian =
            Guardian::new(command("sh", &folder)?, &folder, "kill -9 $(cat pid 2>/dev/null)")?;
        let settings = settings.iter().map(|&word| word.to_owned()).collect();
        let own = Own { folder, settings, _guardian: guardian };
        let mut last = String::new();
        for _ in 0..3 {
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
            match own.launch(address) {
                Ok(()) => {
                    return Ok(Self { url: format!("redis://{address}"), address, own: Some(own) });
                }
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// The server of this URL.
    ///
    /// # Errors
    /// When the URL names no server.
    pub fn at(url: &str) -> Result<Self, String> {
        let wrong = || format!("PARLOR_TEST_REDIS is not a URL of a server: {url}");
        let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
        let host =
            authority.and_then(|authority| authority.rsplit('@').next()).ok_or_else(wrong)?;
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:6379") };
        let address = host.to_socket_addrs().ok().and_then(|mut found| found.next());
        Ok(Self { url: url.to_owned(), address: address.ok_or_else(wrong)?, own: None })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id, of a server that we started.
    pub fn pid(&self) -> Option<u32> {
        self.own.as_ref().and_then(Own::pid)
    }

    /// Kills it (SIGKILL).
    ///
    /// # Panics
    /// When the server is not ours.
    pub fn kill(&self) {
        let own = self.own();
        let Some(pid) = own.pid() else { return };
        let _ = run(Command::new("kill").args(["-9", &pid.to_string()]));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_ok() {
            assert!(Instant::now() < deadline, "Redis survives its kill");
            thread::sleep(Duration::from_millis(5));
        }
        let _ = std::fs::remove_file(own.folder.join("pid"));
    }

    /// Starts it again on the same port after [`Self::kill`], empty.
    ///
    /// # Panics
    /// When the server is not ours or does not start.
    pub fn revive(&self) {
        self.own().launch(self.address).unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Kills it and starts it again on the same port, empty.
    ///
    /// # Panics
    /// When the server is not ours or does not start.
    pub fn restart(&self) {
        self.kill();
        self.revive();
    }

    /// Stops it in its tracks (SIGSTOP): connections stay, nothing is answered.
    ///
    /// # Panics
    /// When the server is not ours.
    pub fn freeze(&self) {
        self.own().signal("STOP");
    }

    /// Lets it go on after [`Self::freeze`].
    ///
    /// # Panics
    /// When the server is not ours.
    pub fn thaw(&self) {
        self.own().signal("CONT");
    }

    /// Runs a command by `redis-cli`, each argument a word of it, and returns what it printed.
    ///
    /// # Panics
    /// When it fails, or when the server answers an error.
    pub fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-u", &self.url, "-e"]).args(words).stdin(Stdio::null());
        run(&mut command).unwrap_or_else(|reason| panic!("{reason}")).trim().to_owned()
    }

    fn own(&self) -> &Own {
        match &self.own {
            Some(own) => own,
            None => panic!("a server that the tests did not start is not stopped by them"),
        }
    }
}

impl Own {
    fn signal(&self, name: &str) {
        let pid = self.pid().map(|pid| pid.to_string()).unwrap_or_default();
        run(Command::new("kill").args(["-s", name, &pid]))
            .unwrap_or_else(|reason| panic!("{reason}"));
    }

    fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }

    fn launch(&self, address: SocketAddr) -> Result<(), String> {
        let mut server = command(redis_server()?, &self.folder)?;
        let status = server
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "yes"])
            .args(["--pidfile", "pid", "--logfile", "log", "--dir", "."])
            .args(&self.settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("redis-server: {error}"))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while status.success() && Instant::now() < deadline {
            // The pid file comes late; without it a kill would find nobody.
            if self.pid().is_some() && TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(format!("redis-server: {status}\n{log}"))
    }
}
