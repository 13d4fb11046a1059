//! The endpoints, and the thread that they run on. What is answered is the
//! play's business.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::answer::{Answer, AnswerBody};
use crate::load::Load;
use crate::play::{Play, Recorded};
use crate::script::Script;
use crate::wire::Wire;

/// Longer request bodies are a violation, in bytes.
const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// How long a barrier waits where nothing else is said: a machine may stand still for
/// a while, and whoever drives the program should hear of it before giving up.
const LONGEST_WAIT: Duration = Duration::from_secs(240);

/// How a server runs, beside its script.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The port on loopback; 0: any that is free.
    pub port: u16,
    /// How long a barrier may hold an answer before that is a violation.
    pub longest_wait: Duration,
    /// Is told each violation as it happens.
    pub on_violation: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, longest_wait: LONGEST_WAIT, on_violation: |_| () }
    }
}

/// A running server; it stops when this is dropped.
pub struct ModelServer {
    address: SocketAddr,
    play: Arc<Play>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// Starts a server that plays `script`. It runs on a thread of its own and
    /// listens when this returns, so tests with and without an async runtime
    /// can start one. The error is that of binding to loopback.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_with(script, Options::default())
    }

    /// Starts a server as `options` say.
    pub fn start_with(script: Script, options: Options) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let play = Arc::new(Play::new(script, options.longest_wait, options.on_violation));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&play);
        let thread =
            std::thread::Builder::new().name("model-server".to_owned()).spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, served) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self { address, play, stop: Some(stop), thread: Some(thread) })
    }

    /// The server's address without a path: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Comes to the barrier `name` as a request does: returns once `parties`
    /// wait there. The error says who is missing.
    pub fn meet(&self, name: &str, parties: usize) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| format!("no runtime to wait in: {error}"))?;
        runtime.block_on(self.play.meet(name, parties))
    }

    /// The well-formed chat requests so far, at most 10,000.
    pub fn requests(&self) -> Vec<Recorded> {
        self.play.recorded()
    }

    /// How many requests there were, and what the limit made of them.
    pub fn load(&self) -> Load {
        self.play.load()
    }

    /// The tokens of all answers together, as they told them.
    pub fn tokens(&self) -> u64 {
        self.play.tokens()
    }

    /// What was malformed, unexpected or against the script, at most 10,000.
    pub fn violations(&self) -> Vec<String> {
        self.play.violations()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        // Dropping the sender is the signal; the runtime drops all connections.
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("model-server: its thread panicked");
        }
    }
}

async fn accept(listener: TcpListener, play: Arc<Play>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&play)))),
            Err(error) => {
                play.violation(&format!("a connection could not be accepted: {error}"));
                // Out of file descriptors: to try again at once would spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, play: Arc<Play>) {
    let service = service_fn(|request| respond(request, &play));
    // An error here is a client that went away, which is its own good right.
    let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    request: Request<Incoming>,
    play: &Play,
) -> Result<Response<AnswerBody>, Infallible> {
    let answer = match (request.method(), request.uri().path()) {
        (&Method::GET, "/v1/models") => play.models(),
        (&Method::POST, "/v1/chat/completions") => ask(Wire::OpenAi, request, play).await,
        (&Method::POST, "/v1/messages") => ask(Wire::Anthropic, request, play).await,
        (method, path) => {
            let breach = format!("{method} {path} is no endpoint of this server");
            Answer { status: 404, ..play.violation(&breach) }
        }
    };
    Ok(response(answer))
}

async fn ask(wire: Wire, request: Request<Incoming>, play: &Play) -> Answer {
    let header = |name| request.headers().get(name);
    let authorized = match wire {
        Wire::OpenAi => header("authorization").is_some(),
        Wire::Anthropic => header("x-api-key").is_some(),
    };
    if wire == Wire::Anthropic && header("anthropic-version").is_none() {
        return play.violation("the header `anthropic-version` is missing");
    }
    match Limited::new(request.into_body(), LONGEST_BODY).collect().await {
        Ok(body) => play.answer(wire, &body.to_bytes(), authorized).await,
        Err(error) => play.violation(&format!("the body could not be read: {error}")),
    }
}

fn response(answer: Answer) -> Response<AnswerBody> {
    let (status, content_type, retry_after) =
        (answer.status, answer.content_type, answer.retry_after);
    let mut response = Response::new(AnswerBody::new(answer));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use serde_json::{Value, json};

    use super::*;
    use crate::{Role, Rule, call, finish_task, status, text};

    /// Sends a request over a connection of its own and returns status and body.
    fn send(server: &ModelServer, request_line: &str, body: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        write!(
            stream,
            "{request_line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// A worker's request with so many earlier turns, each of one call.
    fn ask(server: &ModelServer, task: &str, turns: usize) -> (u16, Value) {
        let mut messages = vec![
            json!({ "role": "system", "content": "Be brief." }),
            json!({ "role": "user", "content": task }),
        ];
        for _ in 0..turns {
            let function = json!({ "name": "look", "arguments": "{}" });
            let calls = json!([{ "id": "a", "type": "function", "function": function }]);
            messages.push(json!({ "role": "assistant", "content": null, "tool_calls": calls }));
            messages.push(json!({ "role": "tool", "tool_call_id": "a", "content": "fn add" }));
        }
        let function = json!({ "name": "finish_task", "parameters": { "type": "object" } });
        let tools = json!([{ "type": "function", "function": function }]);
        let body = json!({ "model": "scripted", "messages": messages, "tools": tools });
        let (status, body) = send(server, "POST /v1/chat/completions", &body.to_string());
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    #[test]
    fn turns_follow_one_another_and_the_end_is_a_violation() {
        let rule = Rule::worker(&["Task: X"])
            .turn(call("look", json!({ "at": 1 })).says("Looking."))
            .turn(finish_task("Done.").expects(&["fn add"]));
        let server = ModelServer::start(Script::new([rule])).unwrap();
        let (_, first) = ask(&server, "Task: X", 0);
        let message = &first["choices"][0]["message"];
        assert_eq!(message["content"], "Looking.");
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"at\":1}");
        let (_, second) = ask(&server, "Task: X", 1);
        assert_eq!(second["choices"][0]["finish_reason"], "tool_calls");
        assert!(
            second["usage"]["prompt_tokens"].as_u64() > first["usage"]["prompt_tokens"].as_u64()
        );
        assert_eq!(server.violations(), Vec::<String>::new());
        let recorded = Recorded {
            model: "scripted".to_owned(),
            role: Some(Role::Worker),
            first_user_message: "Task: X".to_owned(),
            messages: 4,
            authorized: true,
        };
        assert_eq!(server.requests()[1], recorded);

        assert_eq!(ask(&server, "Task: X", 2).0, 400);
        assert_eq!(ask(&server, "Task: Y", 0).0, 400);
        let violations = server.violations();
        assert!(violations[0].contains("no turn 2"), "{violations:?}");
        assert!(violations[1].contains("no rule matches"), "{violations:?}");
    }

    #[test]
    fn failures_and_statuses_are_played() {
        let failing = Rule::worker(&["fail"]).fail_first(1, 429, Some(7)).turn(text("well"));
        let down = Rule::worker(&["down"]).turn(status(502, "<html>")).repeat_last();
        let server = ModelServer::start(Script::new([failing, down])).unwrap();
        assert_eq!(ask(&server, "fail", 0).0, 429);
        assert_eq!(ask(&server, "fail", 0).0, 200);
        assert_eq!(ask(&server, "down", 3), (502, json!("<html>")));
        assert_eq!(server.violations(), Vec::<String>::new());
    }

    #[test]
    fn what_the_script_expects_is_demanded() {
        let rule = Rule::worker(&[]).turn(text("")).turn(text("").expects(&["fn subtract"]));
        let server = ModelServer::start(Script::new([rule])).unwrap();
        assert_eq!(ask(&server, "Task: X", 1).0, 400);
        assert!(server.violations()[0].contains("lacks \"fn subtract\""));
        assert_eq!(send(&server, "GET /v1/engines", "").0, 404);
        assert_eq!(server.violations().len(), 2);
    }

    #[test]
    fn a_barrier_opens_when_all_are_there() {
        let rule = Rule::worker(&[]).turn(text("met").barrier("all", 3));
        let server = ModelServer::start(Script::new([rule])).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| ask(&server, "Task: X", 0).0);
            let third = scope.spawn(|| server.meet("all", 3));
            assert_eq!(ask(&server, "Task: Y", 0).0, 200);
            assert_eq!(other.join().unwrap(), 200);
            assert_eq!(third.join().unwrap(), Ok(()));
        });
        assert_eq!(server.violations(), Vec::<String>::new());
    }

    #[test]
    fn who_waits_alone_at_a_barrier_breaks_the_script() {
        let rule = Rule::worker(&[]).turn(text("met").barrier("both", 2));
        let options = Options { longest_wait: Duration::ZERO, ..Options::default() };
        let server = ModelServer::start_with(Script::new([rule]), options).unwrap();
        assert_eq!(ask(&server, "Task: X", 0).0, 400);
        assert!(server.violations()[0].contains("only 1 of 2"), "{:?}", server.violations());
    }

    #[test]
    fn the_model_is_listed_with_its_window() {
        let script = Script { context_window: Some(4096), ..Script::default() };
        let server = ModelServer::start(script).unwrap();
        let (status, body) = send(&server, "GET /v1/models", "");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200);
        assert_eq!(
            body["data"],
            json!([{ "id": "scripted", "object": "model", "max_model_len": 4096 }])
        );
    }
}
