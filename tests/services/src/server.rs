//! A server process of our own that speaks HTTP: to be killed, frozen, and started again on its port.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, copy, sink},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{guardian::Guardian, programs::run};

/// A server listens within this time.
const STARTING: Duration = Duration::from_secs(60);

/// A process of a program that takes `--listen` and says `listening on http://ADDRESS`. Gone when dropped.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    address: SocketAddr,
    /// Absent while it is dead.
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    guardian: Guardian,
}

impl Server {
    /// Starts it on a free port and waits until it listens. What it writes to standard error goes to `log`.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn start(program: &Path, args: &[&str], log: &Path) -> Result<Self, String> {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server =
            Self { program: program.to_owned(), args, log: log.to_owned(), address, process: None };
        server.revive()?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it (SIGKILL): no destructor runs, nothing is flushed.
    pub fn kill(&mut self) {
        if let Some(Process { mut child, guardian }) = self.process.take() {
            let _ = child.kill();
            // Before the process id can be somebody else's.
            drop(guardian);
            let _ = child.wait();
        }
    }

    /// Starts it again after [`Self::kill`], on the same port.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn revive(&mut self) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", self.program.display());
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(wrong)?;
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .args(["--listen", &self.address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(wrong)?;
        let said = child.stdout.take().map(listen);
        self.process = Some(Process { guardian: guardian(child.id())?, child });
        let address = said.and_then(|said| said.recv_timeout(STARTING).ok());
        let Some(address) = address else {
            self.kill();
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            return Err(format!("{} does not listen:\n{log}", self.program.display()));
        };
        self.address = address;
        Ok(())
    }

    /// Stops its threads (SIGSTOP): its connections stay, and it answers nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<(), String> {
        self.signal("-STOP")
    }

    /// Lets it run on after [`Self::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<(), String> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<(), String> {
        let process = self.process.as_ref().ok_or("the server does not run")?;
        run(Command::new("kill").args([signal, &process.child.id().to_string()])).map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tells the address once it is said, and reads on so that the process is never held up.
fn listen(output: std::process::ChildStdout) -> mpsc::Receiver<SocketAddr> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|read| read > 0) {
            if let Some((_, address)) = line.trim_end().split_once("listening on http://")
                && let Ok(address) = address.parse()
            {
                let _ = tell.send(address);
                break;
            }
            line.clear();
        }
        let _ = copy(&mut output, &mut sink());
    });
    told
}

/// Kills the process when ours ends, however that happens.
fn guardian(id: u32) -> Result<Guardian, String> {
    let folder = tempfile::Builder::new().prefix("parlor-server-").tempdir();
    let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?.keep();
    Guardian::new(Command::new("sh"), &folder, &format!("kill -9 {id}"))
}
