//! Calls the host at random: "fuzz SEED COUNT" makes so many calls with
//! arguments that follow from the seed alone.

use crate::bindings::code_agent::plugin::files::{self, Query};
use crate::bindings::code_agent::plugin::lm::{self, Conversation, Options};
use crate::bindings::code_agent::plugin::log::{self, Level};
use crate::bindings::code_agent::plugin::tools::{self, ToolCall, ToolResult, ToolSpec};
use crate::bindings::code_agent::plugin::types::Error;
use crate::bindings::code_agent::plugin::{commands, files_write, git, git_write, settings};

/// Texts that mean something somewhere: paths, globs, patterns, revisions, JSON.
const TEXTS: [&str; 44] = [
    "",
    " ",
    "a.txt",
    "src",
    "src/deep/file.rs",
    ".",
    "..",
    "/",
    "a//b",
    "a/./b",
    "out/passwd",
    ".git/HEAD",
    "**",
    "*.{rs,txt",
    "[a-",
    "!**/*.rs",
    "{a,b}{c,d}",
    "\\",
    "(",
    "(?i)a{1000}{1000}",
    "^$|x*",
    "\\p{Greek}+?",
    "(?m:^fn)",
    "HEAD",
    "HEAD~1",
    "HEAD^{tree}",
    "@{-1}",
    "0000000000000000000000000000000000000000",
    "--output=/tmp/x",
    "{}",
    "{\"path\": \"a.txt\"}",
    "{\"path\": \"src/deep/file.rs\", \"first_line\": 4294967295}",
    "{\"type\": \"object\"}",
    "[[[[[[",
    "\u{0}",
    "\u{feff}\u{202e}e\u{301}",
    "\r\n\u{1b}[2J",
    "read_file_content",
    "search_code_pattern",
    "get_directory_structure",
    "git_diff",
    "edit_file",
    "{\"pattern\": \"(\", \"globs\": [\"[\"], \"path\": \"\\u0000\"}",
    "max-turns",
];
const NUMBERS: [u32; 8] = [0, 1, 2, 3, 100, 65_536, u32::MAX - 1, u32::MAX];
/// Conversations that it keeps at once; the host takes a few more.
const CONVERSATIONS: usize = 6;

struct Random(u64);

impl Random {
    /// Splitmix64: good enough, and the same everywhere.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn flag(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    fn number(&mut self) -> u32 {
        if self.flag() { NUMBERS[self.below(NUMBERS.len())] } else { self.next() as u32 }
    }

    fn text(&mut self) -> String {
        match self.below(8) {
            0 => (0..self.below(40))
                .filter_map(|_| char::from_u32(self.next() as u32 % 0x11_0000))
                .collect(),
            1 => TEXTS[self.below(TEXTS.len())].repeat(1 + self.below(2000)),
            2 => format!("{}{}", TEXTS[self.below(TEXTS.len())], TEXTS[self.below(TEXTS.len())]),
            _ => TEXTS[self.below(TEXTS.len())].to_owned(),
        }
    }

    fn list<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(one(self)) } else { None }
    }
}

/// What the host says where something of its own broke off.
const FAULT: &str = "fault of the host";

/// Says how many calls were answered well, how many were not, and how often the
/// host had to say that it was its own fault.
pub fn run(arguments: &str) -> Result<String, Error> {
    let mut numbers = arguments.split(' ').map(str::parse::<u64>);
    let (Some(Ok(seed)), Some(Ok(count))) = (numbers.next(), numbers.next()) else {
        return Err(Error::Invalid("fuzz SEED COUNT".to_owned()));
    };
    let mut random = Random(seed);
    let mut open = Vec::new();
    let (mut well, mut refused, mut faults) = (0_u64, 0_u64, 0_u64);
    for _ in 0..count {
        match step(&mut random, &mut open) {
            Ok(()) => well += 1,
            Err(Error::Unavailable(why)) if why.contains(FAULT) => faults += 1,
            Err(_) => refused += 1,
        }
    }
    Ok(format!("{well} well, {refused} refused, {faults} faults"))
}

fn step(random: &mut Random, open: &mut Vec<Conversation>) -> Result<(), Error> {
    match random.below(21) {
        0 => drop(files::read(&random.text(), random.next(), random.number())?),
        1 => drop(files::read_lines(&random.text(), random.number(), random.number())?),
        2 => drop(files::list(&random.list(4, Random::text), random.number())?),
        3 => drop(files::tree(&random.text(), random.number())?),
        4 => search(random)?,
        5 => {
            let executable = random.maybe(Random::flag);
            files_write::write(&random.text(), random.text().as_bytes(), executable)?;
        }
        6 => files_write::edit(&random.text(), &random.text(), &random.text())?,
        7 => files_write::remove(&random.text())?,
        8 => files_write::rename(&random.text(), &random.text())?,
        9 => drop(git::status()?),
        10 => {
            let to = random.maybe(Random::text);
            drop(git::diff(&random.text(), to.as_deref())?);
        }
        11 => {
            let path = random.maybe(Random::text);
            drop(git::log(path.as_deref(), random.number())?);
        }
        12 => drop(git_write::commit_and_push(&random.text())?),
        13 => drop(git_write::prepare(&random.list(3, Random::text))?),
        14 => drop(commands::run(&random.text(), random.number())?),
        15 => drop(settings::get(&random.text())?),
        16 => log::write([Level::Error, Level::Debug][random.below(2)], &random.text()),
        17 => drop(tools::specs()?),
        18 => call_tools(random)?,
        19 => begin(random, open)?,
        _ => talk(random, open)?,
    }
    Ok(())
}

fn search(random: &mut Random) -> Result<(), Error> {
    let query = Query {
        pattern: random.text(),
        globs: random.list(3, Random::text),
        ignore_case: random.flag(),
        context_lines: random.number(),
        max_hits: random.number(),
    };
    files::search(&query).map(drop)
}

fn call_tools(random: &mut Random) -> Result<(), Error> {
    let results = tools::call(&random.list(5, call))?;
    match results.into_iter().find(|result| result.is_error && result.output.contains(FAULT)) {
        Some(result) => Err(Error::Unavailable(result.output)),
        None => Ok(()),
    }
}

fn call(random: &mut Random) -> ToolCall {
    ToolCall { id: random.text(), name: random.text(), arguments: random.text() }
}

fn spec(random: &mut Random) -> ToolSpec {
    ToolSpec {
        name: random.text(),
        description: random.text(),
        parameters: random.text(),
        writes: random.flag(),
    }
}

fn begin(random: &mut Random, open: &mut Vec<Conversation>) -> Result<(), Error> {
    let tools = random.list(2, spec);
    let options = Options {
        system: random.text(),
        tools: if random.flag() { tools } else { Vec::new() },
        max_output_tokens: random.maybe(Random::number),
    };
    if open.len() == CONVERSATIONS {
        open.remove(random.below(CONVERSATIONS));
    }
    open.push(lm::Conversation::open(&options)?);
    Ok(())
}

fn talk(random: &mut Random, open: &[Conversation]) -> Result<(), Error> {
    let Some(conversation) = open.get(random.below(open.len().max(1))) else { return Ok(()) };
    match random.below(4) {
        0 => conversation.say(&random.text()),
        1 => conversation.answer(&random.list(2, |random| ToolResult {
            id: random.text(),
            output: random.text(),
            is_error: random.flag(),
        })),
        2 => conversation.reply().map(drop),
        _ => {
            conversation.elide_results(random.number());
            Ok(())
        }
    }
}
