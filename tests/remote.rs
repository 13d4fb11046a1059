//! A remote for a test's repository: a bare one, reached by its path or over
//! HTTP as git serves it, and another client that works on the same branch.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use crate::program::TOO_LONG;
use crate::project::Project;

/// A bare repository, the `origin` of a project.
pub struct Remote {
    path: PathBuf,
}

impl Remote {
    /// Beside the project, holding what its `main` holds, and reached by its path.
    pub fn of(project: &Project) -> Self {
        let path = project.beside("remote.git");
        project.git(&["clone", "--quiet", "--bare", ".", path.to_str().unwrap()]);
        let remote = Self { path };
        remote.git(&["config", "http.receivepack", "true"]);
        project.git(&["remote", "add", "origin", &remote.file_url()]);
        project.git(&["fetch", "--quiet", "origin"]);
        remote
    }

    pub fn file_url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A hook of the remote's own.
    pub fn hook(&self, name: &str, script: &str) {
        let path = self.path.join("hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Somebody else with a clone of the remote.
pub struct Other {
    path: PathBuf,
}

impl Other {
    pub fn of(remote: &Remote, project: &Project, name: &str) -> Self {
        let path = project.beside(name);
        git(&remote.path, &["clone", "--quiet", &remote.file_url(), path.to_str().unwrap()]);
        Self { path }
    }

    /// Reaches the remote by another way.
    pub fn over(self, url: &str) -> Self {
        git(&self.path, &["remote", "set-url", "origin", url]);
        self
    }

    /// Looks what there is, adds a file, and pushes it; as often as it takes.
    pub fn push(&self, name: &str) {
        self.commit(name, name);
        loop {
            git(&self.path, &["pull", "--quiet", "--rebase", "origin", "main"]);
            if self.tries(&["push", "--quiet", "origin", "HEAD:main"]) {
                return;
            }
        }
    }

    /// Commits `NAME.txt` with this text.
    pub fn commit(&self, name: &str, text: &str) {
        fs::write(self.path.join(format!("{name}.txt")), text).unwrap();
        git(&self.path, &["add", "--all"]);
        git(&self.path, &["commit", "--quiet", "--message", name]);
    }

    /// Adds a line at the end of `shared.txt`, to be committed.
    fn add_line(&self, line: &str) {
        let shared = self.path.join("shared.txt");
        let text = fs::read_to_string(&shared).unwrap();
        fs::write(&shared, format!("{text}{line}\n")).unwrap();
    }

    pub fn tries(&self, arguments: &[&str]) -> bool {
        command(&self.path, arguments).output().unwrap().status.success()
    }

    /// Pushes without a pause until it is told to stop; returns how often.
    pub fn keep_pushing(self, gate: Arc<Gate>) -> Busy {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::spawn(move || {
            let mut count = 0;
            while !told.load(Ordering::Relaxed) {
                gate.enter();
                count += 1;
                self.add_line(&format!("busy-{count}"));
                self.push(&format!("busy-{count}"));
                gate.leave();
            }
            count
        });
        Busy { stop, thread }
    }
}

/// Lets a busy client take breath, so that no test depends on who is faster.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    inside: bool,
    /// How often somebody was inside, and how many of these are known.
    left: usize,
    known: usize,
}

impl Gate {
    fn enter(&self) {
        let state = self.state.lock().unwrap();
        self.changed.wait_while(state, |state| state.closed).unwrap().inside = true;
    }

    fn leave(&self) {
        let mut state = self.state.lock().unwrap();
        state.inside = false;
        state.left += 1;
        self.changed.notify_all();
    }

    /// Returns once somebody was inside since the last call, or the gate is closed.
    pub fn wait_for_one(&self) {
        let state = self.state.lock().unwrap();
        let nobody = |state: &mut GateState| !state.closed && state.left == state.known;
        let (mut state, waited) =
            self.changed.wait_timeout_while(state, TOO_LONG / 2, nobody).unwrap();
        assert!(!waited.timed_out(), "nobody was inside for long");
        state.known = state.left;
    }

    /// Returns once nobody is inside; who was is known.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = true;
        let mut state = self.changed.wait_while(state, |state| state.inside).unwrap();
        state.known = state.left;
    }

    pub fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }
}

/// A client that pushes all the time.
pub struct Busy {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Busy {
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Other", "-c", "user.email=other@example.com"]);
    command.args(arguments).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Serves a remote over HTTP on loopback, by git's own program.
pub struct HttpServer {
    port: u16,
}

/// Where a push is that the server hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It asks where the branch stands.
    Asks,
    /// It is on its way.
    Comes,
    /// The remote is done with it, and it is about to be answered.
    Ends,
}

impl HttpServer {
    /// `hear` hears of each step of a push, before the remote or the client does.
    pub fn start(remote: &Remote, hear: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self::start_for(remote, None, hear)
    }

    /// Only for whoever gives this name and password, as HTTP writes them.
    pub fn start_guarded(remote: &Remote, authorization: &'static str) -> Self {
        Self::start_for(remote, Some(authorization), |_| ())
    }

    fn start_for(
        remote: &Remote,
        guard: Option<&'static str>,
        hear: impl Fn(Step) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let root = remote.path.parent().unwrap().to_owned();
        let hear = Arc::new(hear);
        // Ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (root, hear) = (root.clone(), hear.clone());
                thread::spawn(move || {
                    let Some((connection, request)) = Request::read(&connection.unwrap()) else {
                        return;
                    };
                    if guard.is_some_and(|wanted| request.header("authorization") != Some(wanted)) {
                        return refuse(connection);
                    }
                    let is_push = request.line.contains("git-receive-pack");
                    let comes = request.line.starts_with("POST");
                    if is_push {
                        hear(if comes { Step::Comes } else { Step::Asks });
                    }
                    let answer = answer(&request, &root);
                    if is_push && comes {
                        hear(Step::Ends);
                    }
                    // Whoever has gone has seen enough.
                    (&connection).write_all(&answer).ok();
                });
            }
        });
        Self { port }
    }

    /// Its address, with nobody's name in it.
    pub fn plain_url(&self, remote: &Remote) -> String {
        self.url(remote).replace("me:secret-in-url@", "")
    }

    pub fn url(&self, remote: &Remote) -> String {
        let name = remote.path.file_name().unwrap().to_str().unwrap();
        // Git asks nobody for a password where it has one already.
        format!("http://me:secret-in-url@127.0.0.1:{}/{name}", self.port)
    }
}

struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// None where the client has gone.
    fn read(connection: &TcpStream) -> Option<(TcpStream, Self)> {
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut request = Self { line, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        if let Some(length) = length {
            reader.take(length).read_to_end(&mut request.body).ok()?;
        } else if request.header("transfer-encoding").is_some() {
            request.read_chunks(&mut reader)?;
        }
        Some((connection.try_clone().unwrap(), request))
    }

    fn read_chunks(&mut self, reader: &mut impl BufRead) -> Option<()> {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            reader.by_ref().take(size).read_to_end(&mut self.body).ok()?;
            reader.read_line(&mut String::new()).ok()?;
            if size == 0 {
                return Some(());
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

fn refuse(mut connection: TcpStream) {
    let answer = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\
                  WWW-Authenticate: Basic realm=\"test\"\r\n\r\n";
    // Whoever has gone has seen enough.
    connection.write_all(answer.as_bytes()).ok();
}

fn answer(request: &Request, root: &Path) -> Vec<u8> {
    let mut words = request.line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git");
    backend.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    backend.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    backend.env("CONTENT_LENGTH", request.body.len().to_string());
    for (name, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "HTTP_GIT_PROTOCOL"),
    ] {
        backend.env(variable, request.header(name).unwrap_or_default());
    }
    let mut backend = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, body) = (backend.stdin.take().unwrap(), request.body.clone());
    let fed = thread::spawn(move || input.write_all(&body));
    let output = backend.wait_with_output().unwrap().stdout;
    fed.join().unwrap().ok();
    let text = String::from_utf8_lossy(&output);
    let status = text.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    [head.as_bytes(), &output].concat()
}
