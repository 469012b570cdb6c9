//! Child processes, spoken to by lines.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout, Command},
};

use crate::{Result, measure::Process};

/// A child process. It ends when its standard input does, and is killed should it be forgotten.
pub(crate) struct Child {
    child: tokio::process::Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) process: Process,
}

impl Child {
    /// Starts this program in another role.
    pub(crate) fn role<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a program.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{:?}: {error}", command.as_std().get_program()))?;
        let process = Process::new(child.id().ok_or("the child ended at once")?);
        let stdout = child.stdout.take().ok_or("the child has no output")?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines(), process })
    }

    /// Says a line to it.
    pub(crate) async fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("the child does not listen")?;
        stdin.write_all(line.as_bytes()).await?;
        stdin.write_all(b"\n").await?;
        Ok(stdin.flush().await?)
    }

    /// The next line that it says.
    pub(crate) async fn line(&mut self) -> Result<String> {
        Ok(self.lines.next_line().await?.ok_or("a child process ended early")?)
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
