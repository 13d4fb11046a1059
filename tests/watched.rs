//! The real program while it runs: a test reads what it says, line by line, and
//! sends it signals.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use serde_json::Value;

use crate::program::{Ended, TOO_LONG, wait};

enum Line {
    Stdout(String),
    Stderr(String),
}

pub struct Watched {
    /// Taken when the program has ended.
    child: Option<Child>,
    lines: Receiver<Line>,
    stdout: String,
    stderr: String,
}

impl Watched {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        send_lines(child.stdout.take().unwrap(), Line::Stdout, sender.clone());
        send_lines(child.stderr.take().unwrap(), Line::Stderr, sender);
        Self { child: Some(child), lines, stdout: String::new(), stderr: String::new() }
    }

    /// The next event that `--json` prints; none where the program has ended.
    pub fn next_event(&mut self) -> Option<Value> {
        loop {
            // A killed program may leave half a line behind.
            if let Line::Stdout(line) = self.next_line()?
                && let Ok(event) = serde_json::from_str(&line)
            {
                return Some(event);
            }
        }
    }

    /// Waits for an event of this kind whose text holds `words`.
    #[track_caller]
    pub fn until_event(&mut self, kind: &str, words: &str) -> Value {
        while let Some(event) = self.next_event() {
            if event["event"] == kind && event.to_string().contains(words) {
                return event;
            }
        }
        panic!("no {kind} with `{words}` came\n{}", self.said());
    }

    /// Waits until stderr holds `words`.
    #[track_caller]
    pub fn until_said(&mut self, words: &str) {
        while !self.stderr.contains(words) {
            assert!(self.next_line().is_some(), "`{words}` was not said\n{}", self.said());
        }
    }

    /// Sends a signal by its name without SIG.
    pub fn signal(&self, name: &str) {
        let child = self.child.as_ref().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends the program with SIGKILL.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// Waits for the program's own end.
    pub fn ended(mut self) -> Ended {
        while self.next_line().is_some() {}
        let status = wait(&mut self.child.take().unwrap());
        Ended::new(status, std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr))
    }

    pub fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
    }

    fn next_line(&mut self) -> Option<Line> {
        let line = match self.lines.recv_timeout(TOO_LONG) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("the program hangs\n{}", self.said()),
        };
        let (text, all) = match &line {
            Line::Stdout(text) => (text, &mut self.stdout),
            Line::Stderr(text) => (text, &mut self.stderr),
        };
        all.push_str(text);
        all.push('\n');
        Some(line)
    }

    fn kill_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Watched {
    /// A test that fails leaves no program behind.
    fn drop(&mut self) {
        self.kill_now();
    }
}

fn send_lines(pipe: impl Read + Send + 'static, wrap: fn(String) -> Line, sender: Sender<Line>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if sender.send(wrap(line.unwrap())).is_err() {
                return;
            }
        }
    });
}
