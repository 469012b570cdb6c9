//! Child processes: this very program in another role, spoken to by lines.

use std::{ffi::OsStr, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{Result, proc::Process};

/// A child process. It ends when its standard input does, and is killed should it be forgotten.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) process: Process,
}

impl Peer {
    /// Starts this program with other arguments.
    pub(crate) fn start<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process::new(child.id().ok_or("the child ended at once")?);
        let stdout = child.stdout.take().ok_or("the child has no output")?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines(), process })
    }

    /// The next line that it says.
    pub(crate) async fn line(&mut self) -> Result<String> {
        Ok(self.lines.next_line().await?.ok_or("the child process ended early")?)
    }

    /// Lets it end, and waits for that.
    pub(crate) async fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a child process failed: {status}").into())
        }
    }
}
