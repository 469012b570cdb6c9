use std::{
    net::SocketAddr,
    process::{Command as Plain, ExitStatus, Stdio},
    sync::Arc,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

use super::PATIENCE;

/// The server in a folder of its own, with no environment but what the test gives. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    folder: Arc<TempDir>,
    pub(crate) address: SocketAddr,
    output: watch::Receiver<String>,
    log: watch::Receiver<String>,
}

/// What came of a run that ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) log: String,
}

impl Process {
    /// Starts it on a free port and waits until it serves.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), options).await
    }

    /// The same in the folder of another one, which has ended.
    pub(crate) async fn start_in(folder: Arc<TempDir>, options: &[&str]) -> Self {
        Self::spawn(command(&folder, &["--listen", "127.0.0.1:0"]), folder, options).await
    }

    /// The same where it may open only so many files.
    pub(crate) async fn start_with_files(files: u32, options: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\""));
        shell.args([env!("CARGO_BIN_EXE_parlor-server"), "--listen", "127.0.0.1:0"]);
        shell.env_clear().current_dir(folder.path()).kill_on_drop(true);
        Self::spawn(shell, folder, options).await
    }

    async fn spawn(mut command: Command, folder: Arc<TempDir>, options: &[&str]) -> Self {
        let mut child =
            command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = lines(child.stdout.take().unwrap());
        let log = lines(child.stderr.take().unwrap());
        let mut process =
            Self { child, folder, address: SocketAddr::from(([0; 4], 0)), output, log };
        let line = process.until_output("listening on http://").await;
        process.address = line.trim_start_matches("listening on http://").parse().unwrap();
        process
    }

    /// Runs it to its end.
    pub(crate) async fn run(options: &[&str], environment: &[(&str, &str)]) -> Ended {
        Self::run_in(&tempfile::tempdir().unwrap(), options, environment).await
    }

    /// The same in a folder with something in it.
    pub(crate) async fn run_in(
        folder: &TempDir,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Ended {
        let mut command = command(folder, options);
        let run = command.envs(environment.iter().copied()).stdin(Stdio::null()).output();
        let output = timeout(PATIENCE, run).await.expect("it ends").unwrap();
        Ended {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).unwrap(),
            log: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A token from the server's own subcommand, with the same options.
    pub(crate) async fn token(&self, user: &str, options: &[&str]) -> String {
        let words = [&["token", "--sub", user][..], options].concat();
        let ended = Self::run_in(&self.folder, &words, &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended.output.trim().to_owned()
    }

    pub(crate) fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// The first line on standard output with this text.
    pub(crate) async fn until_output(&mut self, text: &str) -> String {
        until(&mut self.output, text, &self.log).await
    }

    /// The first line of the log with this text.
    pub(crate) async fn until_log(&mut self, text: &str) -> String {
        let log = self.log.clone();
        until(&mut self.log, text, &log).await
    }

    /// Waits until the log has this text so often.
    pub(crate) async fn until_logged(&mut self, text: &str, times: usize) {
        let enough = self.log.wait_for(|all| all.matches(text).count() >= times);
        timeout(PATIENCE, enough).await.expect("the log says so").unwrap();
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Asks over HTTP: the status and the body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Plain::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap()
    }
}

fn command(folder: &TempDir, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor-server"));
    command.args(options).env_clear().current_dir(folder.path()).kill_on_drop(true);
    command
}

/// Collects what a stream says. The text is complete when the sender is gone.
fn lines(stream: impl AsyncRead + Send + Unpin + 'static) -> watch::Receiver<String> {
    let (sender, receiver) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|text| {
                text.push_str(&line);
                text.push('\n');
            });
        }
    });
    receiver
}

async fn until(
    stream: &mut watch::Receiver<String>,
    text: &str,
    log: &watch::Receiver<String>,
) -> String {
    let found = |all: &String| all.lines().any(|line| line.contains(text));
    let waited = timeout(PATIENCE, stream.wait_for(found)).await;
    match waited {
        Ok(Ok(all)) => all.lines().find(|line| line.contains(text)).unwrap().to_owned(),
        Ok(Err(_)) => panic!("it ended without {text:?}:\n{}", *log.borrow()),
        Err(_) => panic!("no {text:?}:\n{}", *log.borrow()),
    }
}
