//! Ends a server with the process that started it.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A shell that waits until its input ends, which it does with our process however that ends, and then
/// stops the server and removes its folder.
#[derive(Debug)]
pub(crate) struct Guardian(Child);

impl Guardian {
    /// `command` runs in `folder`; `stop` is the shell's line that stops the server.
    pub(crate) fn new(mut command: Command, folder: &Path, stop: &str) -> Result<Self, String> {
        let script = format!("read -r _; {stop}; cd /; rm -rf \"$1\"");
        command
            .args(["-c", &script, "guardian"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for us.
            .process_group(0);
        command.spawn().map(Self).map_err(|error| format!("sh: {error}"))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
