//! `code-agent transcript`: what was said between an agent and its model.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::look::{LookArguments, RunChoice, json_line};
use super::terminal::{indented, print, printable, short, to_the_second};
use crate::transcript::{About, Entry, Line, Lines, Place, Said, path};
use crate::types::{Reply, ToolSpec};
use crate::{Error, Result};

#[derive(Args, Clone)]
pub(super) struct TranscriptArguments {
    /// A slot (worker-1), a role (judge), or the beginning of a task's or a planner's id.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    agent: String,
    #[command(flatten)]
    run: RunChoice,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

pub(super) fn transcript(arguments: &TranscriptArguments) -> Result<ExitCode> {
    let (run, _) = arguments.run.choose(arguments.look.open()?.runs()?)?;
    let database = arguments.look.database()?;
    let path = path(database.parent().unwrap_or(Path::new("")), &run.id);
    let mut calls = Calls::new(&arguments.agent);
    for line in Lines::open(&path)? {
        let line = line?;
        if !calls.concern(&line.entry) {
            continue;
        }
        if arguments.look.json {
            print(&json_line(&line)?)?;
        } else {
            calls.take(&line);
            print(&calls.finished())?;
        }
    }
    if !arguments.look.json {
        print(&calls.rest())?;
    }
    if calls.found { Ok(ExitCode::SUCCESS) } else { Err(calls.nobody()) }
}

/// The calls that are asked for. Those of several agents run side by side and
/// are shown one after the other.
struct Calls<'a> {
    wanted: &'a str,
    found: bool,
    /// Who else there is.
    others: Vec<String>,
    open: Vec<OpenCall>,
}

struct OpenCall {
    number: u64,
    agent: String,
    text: String,
    ended: bool,
    /// Its agent has begun another: nothing of it comes any more, while a
    /// worker's landing still comes after its call has ended.
    over: bool,
    /// The tools' names by the ids of their calls.
    tools: HashMap<(u32, String), String>,
    landings: HashSet<String>,
}

impl<'a> Calls<'a> {
    fn new(wanted: &'a str) -> Self {
        Self { wanted, found: false, others: Vec::new(), open: Vec::new() }
    }

    /// Whether a line is about one of them; learns of new ones.
    fn concern(&mut self, entry: &Entry) -> bool {
        if let Entry::Call { call, about } = entry {
            if self.is_wanted(about) {
                for earlier in self.open.iter_mut().filter(|open| open.agent == about.agent) {
                    earlier.over = true;
                }
                self.open.push(OpenCall::new(*call, about));
                self.found = true;
                return true;
            }
            let name = if about.subject.as_ref() == Some(&about.agent) {
                format!("{} ({})", short(&about.agent), about.role)
            } else {
                about.agent.clone()
            };
            if !self.others.contains(&name) {
                self.others.push(name);
            }
        }
        self.open.iter().any(|open| open.is_of(entry))
    }

    fn is_wanted(&self, about: &About) -> bool {
        let subject = about.subject.as_deref().unwrap_or_default();
        self.wanted == about.agent
            || self.wanted == about.role.as_str()
            || (!self.wanted.is_empty() && subject.starts_with(self.wanted))
    }

    fn take(&mut self, line: &Line) {
        if let Some(open) = self.open.iter_mut().find(|open| open.is_of(&line.entry)) {
            open.take(line);
        }
    }

    /// The text of those at the front that are over.
    fn finished(&mut self) -> String {
        let over = self.open.iter().take_while(|open| open.over).count();
        self.open.drain(..over).map(OpenCall::whole).collect()
    }

    fn rest(&mut self) -> String {
        self.open.drain(..).map(OpenCall::whole).collect()
    }

    fn nobody(&self) -> Error {
        let others = match self.others.as_slice() {
            [] => "nobody has been asked yet".to_owned(),
            some => format!("there is {}", some.join(", ")),
        };
        Error::usage(format!("the run has no agent `{}`; {others}", self.wanted))
    }
}

impl OpenCall {
    fn new(number: u64, about: &About) -> Self {
        Self {
            number,
            agent: about.agent.clone(),
            text: String::new(),
            ended: false,
            over: false,
            tools: HashMap::new(),
            landings: HashSet::new(),
        }
    }

    /// Whether a line is about this call.
    fn is_of(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Call { call, .. }
            | Entry::Ended { call, .. }
            | Entry::Red { call, .. }
            | Entry::Landing { call, .. } => *call == self.number,
            Entry::Opened { place, .. }
            | Entry::Said { place, .. }
            | Entry::Reply { place, .. }
            | Entry::NoReply { place, .. } => place.call == self.number,
            Entry::Landed { landing, .. } => self.landings.contains(landing),
            Entry::Host(_) | Entry::Plugins(_) | Entry::Ids { .. } => false,
        }
    }

    fn whole(self) -> String {
        let end = if self.ended { "\n" } else { "--- the call did not end by itself\n\n" };
        self.text + end
    }

    fn take(&mut self, line: &Line) {
        match &line.entry {
            Entry::Call { about, .. } => self.text.push_str(&heading(about, &line.time)),
            Entry::Opened { model, system, tools, .. } => {
                let names: Vec<_> =
                    tools.iter().map(|tool: &ToolSpec| tool.name.as_str()).collect();
                let told = indented(system);
                self.say(&format!("system, for the model {}", printable(model)), &told);
                self.say("tools", &indented(&names.join(", ")));
            }
            Entry::Said { place, said } => self.said(*place, said),
            Entry::Reply { place, milliseconds, reply } => {
                self.reply(*place, *milliseconds, reply);
            }
            Entry::NoReply { error, .. } => self.say("no answer", &indented(&error.to_string())),
            Entry::Ended { error, .. } => {
                self.ended = true;
                if let Some(error) = error {
                    self.say("failed", &indented(error));
                }
            }
            Entry::Landing { landing, .. } => {
                self.landings.insert(landing.clone());
            }
            Entry::Landed { commit: Some(commit), .. } => {
                self.say(&format!("landed as {commit}"), "");
            }
            Entry::Landed { commit: None, .. } => self.say("did not land", ""),
            Entry::Red { check, .. } => self.say("the check is red", &check.output),
            Entry::Host(_) | Entry::Plugins(_) | Entry::Ids { .. } => {}
        }
    }

    fn say(&mut self, who: &str, text: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "--- {who}\n{text}");
    }

    fn said(&mut self, place: Place, said: &Said) {
        match said {
            Said::Text(text) => self.say("user", &indented(text)),
            Said::Elided(keep) => {
                self.say(&format!("results emptied, but for those of the last {keep} replies"), "");
            }
            Said::Results(results) => {
                for result in results {
                    let key = (place.conversation, result.id.clone());
                    let tool = self.tools.remove(&key).unwrap_or_else(|| result.id.clone());
                    let kind = if result.is_error { "error" } else { "result" };
                    let who = format!("{kind} of {}", printable(&tool));
                    self.say(&who, &indented(&result.output));
                }
            }
        }
    }

    fn reply(&mut self, place: Place, milliseconds: u64, reply: &Reply) {
        let usage = reply.usage;
        let who = format!(
            "model, after {:.1} s: {} tokens in ({} cached), {} out",
            milliseconds as f64 / 1000.0,
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens
        );
        let mut text = if reply.text.is_empty() { String::new() } else { indented(&reply.text) };
        for call in &reply.calls {
            text.push_str(&indented(&format!("{} {}", call.name, call.arguments)));
            self.tools.insert((place.conversation, call.id.clone()), call.name.clone());
        }
        self.say(&who, &text);
    }
}

fn heading(about: &About, time: &str) -> String {
    let mut text = format!("=== {}", about.agent);
    if about.agent != about.role.as_str() {
        let _ = write!(text, ", {}", about.role);
    }
    let _ = write!(text, ", cycle {}", about.cycle);
    if let Some(subject) = about.subject.as_ref().filter(|subject| **subject != about.agent) {
        let _ = write!(text, ", task {subject}, attempt {}", about.attempt);
    }
    let _ = writeln!(text, ", {}", to_the_second(time));
    text
}
