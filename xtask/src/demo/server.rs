//! The scripted model server as a child process: it says on its first line
//! where it listens, and ends with this value.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::command::{Result, failed};

/// A running server.
pub struct Server {
    child: Child,
    /// Its base URL.
    pub address: String,
}

/// Starts the server and waits for its first line.
pub fn start(program: &Path, script: &Path) -> Result<Server> {
    let mut child = Command::new(program)
        .arg("--script")
        .arg(script)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("can't start the model server: {error}")))?;
    let stdout = child.stdout.take();
    let mut server = Server { child, address: String::new() };
    let mut lines = BufReader::new(stdout.ok_or_else(|| failed("the model server has no stdout"))?);
    lines
        .read_line(&mut server.address)
        .map_err(|error| failed(format!("can't read the model server's address: {error}")))?;
    server.address.truncate(server.address.trim_end().len());
    if !server.address.starts_with("http://") {
        return Err(failed(format!("the model server gave no address but `{}`", server.address)));
    }
    // A server that prints more must not stall on a full pipe. The thread ends
    // with the server.
    thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(server)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        if self.child.kill().is_ok() {
            let _ended = self.child.wait();
        }
    }
}
