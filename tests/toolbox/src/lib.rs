//! Tools for tests: some that work, one that tries every interface of the
//! contract, and one that misbehaves on demand. The setting `specs` makes it lie
//! about them, or say something else each time. Owns no rule: what has to happen is
//! the tests'.

/// The bindings, without the SDK: a component owes the host nothing but the
/// contract. It imports more than a tool should, to be refused.
mod bindings {
    // Generated code: its unsafe blocks are the canonical ABI.
    #![allow(missing_docs, unsafe_code)]

    wit_bindgen::generate!({
        inline: "
            package tests:toolbox;

            world toolbox {
                include code-agent:plugin/sdk@0.1.0;
                import wasi:clocks/wall-clock@0.2.0;
                export code-agent:plugin/tool-provider@0.1.0;
            }

            package wasi:clocks@0.2.0 {
                interface wall-clock {
                    record datetime { seconds: u64, nanoseconds: u32 }
                    now: func() -> datetime;
                }
            }
        ",
        path: "../../wit",
        world: "tests:toolbox/toolbox",
        generate_all,
    });

    export!(Toolbox with_types_in self);

    use super::Toolbox;
}

use std::hint::black_box;

use bindings::code_agent::plugin::lm::{Conversation, Options};
use bindings::code_agent::plugin::log::{self, Level};
use bindings::code_agent::plugin::tools::ToolSpec;
use bindings::code_agent::plugin::types::Error;
use bindings::code_agent::plugin::{commands, files, files_write, git, git_write, settings, tools};
use bindings::exports::code_agent::plugin::tool_provider;
use bindings::wasi::clocks::wall_clock;
use serde_json::{Value, json};

/// Longer than any output that a model is shown.
const LONG: usize = 200_000;

struct Toolbox;

impl tool_provider::Guest for Toolbox {
    fn specs() -> Result<Vec<ToolSpec>, Error> {
        log::write(Level::Info, "the toolbox is asked for its tools");
        let lie = settings::get("specs")?.unwrap_or_default();
        let right = vec![
            spec("count_lines", &["path"], false),
            spec("append_note", &["path", "text"], true),
            spec("shell", &["command"], false),
            spec("probe", &[], false),
            spec("long", &[], false),
            spec("misbehave", &["how"], false),
        ];
        match lie.as_str() {
            "" => Ok(right),
            "growing" => Ok(right.into_iter().map(growing).collect()),
            "shadow" => Ok(vec![spec("run_command", &["command"], false)]),
            "no schema" => {
                Ok(vec![ToolSpec { parameters: "[]".to_owned(), ..spec("x", &[], false) }])
            }
            "deep lie" => {
                let parameters = r#"{"type": "object", "properties": {"a": {"items": "text"}}}"#;
                let parameters = parameters.to_owned();
                Ok(vec![ToolSpec { parameters, ..spec("x", &[], false) }])
            }
            "read" => files::read("a.txt", 0, 10).map(|_| right),
            "trap" => trap(),
            "loop" => spin(),
            _ if lie.starts_with("many ") => {
                let letter = lie.trim_start_matches("many ");
                Ok((0..32).map(|number| spec(&format!("{letter}_{number}"), &[], false)).collect())
            }
            other => Err(Error::Invalid(format!("no specs are called {other}"))),
        }
    }

    fn call(name: String, arguments: String) -> Result<String, Error> {
        let arguments: Value =
            serde_json::from_str(&arguments).map_err(|error| Error::Invalid(error.to_string()))?;
        let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "count_lines" => count_lines(&text("path")),
            "append_note" => append_note(&text("path"), &text("text")),
            "shell" => commands::run(&text("command"), 60).map(|ran| ran.output),
            "probe" => Ok(probe()),
            "long" => Ok("x".repeat(LONG)),
            "misbehave" => misbehave(&text("how")),
            other => Err(Error::NotFound(format!("the toolbox has no {other}"))),
        }
    }
}

fn spec(name: &str, texts: &[&str], writes: bool) -> ToolSpec {
    let properties: serde_json::Map<String, Value> =
        texts.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    let parameters = json!({ "type": "object", "properties": properties, "required": texts });
    ToolSpec {
        name: name.to_owned(),
        description: format!("The test's {name}."),
        parameters: parameters.to_string(),
        writes,
    }
}

/// With a number that is larger in each instance: nothing else of one is left to the
/// next.
fn growing(mut spec: ToolSpec) -> ToolSpec {
    let now = wall_clock::now();
    spec.description += &format!(" Number {}{:09}.", now.seconds, now.nanoseconds);
    spec
}

fn count_lines(path: &str) -> Result<String, Error> {
    let bytes = files::read(path, 0, 1 << 20)?;
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    Ok(format!("{path} has {lines} lines"))
}

fn append_note(path: &str, text: &str) -> Result<String, Error> {
    let mut bytes = files::read(path, 0, 1 << 20).unwrap_or_default();
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    files_write::write(path, &bytes, None)?;
    Ok(format!("noted in {path}"))
}

/// One line for each interface: what came of using it.
fn probe() -> String {
    let options = Options { system: String::new(), tools: Vec::new(), max_output_tokens: None };
    let tried = [
        ("files", files::read("a.txt", 0, 1).map(drop)),
        ("files-write", files_write::write("probe.txt", b"x", None)),
        ("git", git::log(None, 1).map(drop)),
        ("git-write", git_write::commit_and_push("Probe").map(drop)),
        ("commands", commands::run("true", 10).map(drop)),
        ("lm", Conversation::open(&options).map(drop)),
        ("tools", tools::specs().map(drop)),
        ("settings", settings::get("specs").map(drop)),
    ];
    let lines = tried.map(|(interface, outcome)| match outcome {
        Ok(()) => format!("{interface}: granted"),
        Err(Error::Denied(why)) => format!("{interface}: denied, {why}"),
        Err(other) => format!("{interface}: {other:?}"),
    });
    lines.join("\n")
}

fn misbehave(how: &str) -> Result<String, Error> {
    match how {
        "trap" => trap(),
        "loop" => spin(),
        "memory" => Ok(format!("{} bytes", black_box(vec![1_u8; 1 << 30]).len())),
        "list" => {
            let found = files::list(&["**".to_owned()], u32::MAX)?;
            Ok(format!("{} paths, more: {}", found.paths.len(), found.truncated))
        }
        "status" => git::status().map(|changed| format!("{} changed", changed.len())),
        "log" => {
            (0..100_000).for_each(|line| log::write(Level::Info, &format!("noise {line}")));
            Ok("logged".to_owned())
        }
        other => Err(Error::Invalid(format!("this call asks for an error: {other}"))),
    }
}

fn spin() -> ! {
    loop {
        black_box(0);
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}
