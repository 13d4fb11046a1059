//! `model-server --script FILE [--port N]`: prints the server's address as the
//! first line on stdout, then each violation on stderr, until it is killed.

use std::io::Write;
use std::process::ExitCode;

use model_server::{ModelServer, Options, Script};

const USAGE: &str = "usage: model-server --script FILE [--port N]";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(never) => match never {},
        Err(sentence) => {
            eprintln!("model-server: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<std::convert::Infallible, String> {
    let (file, port) = parse(arguments)?;
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let script = Script::from_toml(&text).map_err(|error| format!("{file}: {error}"))?;
    let on_violation = |breach: &str| eprintln!("violation: {breach}");
    let server =
        ModelServer::start_with(script, Options { port, on_violation, ..Options::default() })
            .map_err(|error| format!("can't listen on 127.0.0.1:{port}: {error}"))?;
    // Who started the server reads this line through a pipe, so it has to be
    // flushed.
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", server.base_url())
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("can't print the address: {error}"))?;
    loop {
        std::thread::park();
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(String, u16), String> {
    let mut script = None;
    let mut port = 0;
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--script" => script = Some(value),
            "--port" => port = value.parse().map_err(|_| format!("`{value}` is no port"))?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    script.map(|script| (script, port)).ok_or_else(|| USAGE.to_owned())
}
