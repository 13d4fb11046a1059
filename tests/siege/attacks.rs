//! What hostile components try, and the words that the host has to answer with.

use std::fmt;

use code_agent::types::Role;

use crate::texts;

/// What a component's table says, beside what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Little memory, so that taking it all is quick.
    Tight,
    /// Next to no time to compute.
    Hasty,
    /// Memory for a text of 1 GiB.
    Roomy,
    /// No grant at all.
    Bare,
}

impl Table {
    pub const ALL: [Self; 4] = [Self::Tight, Self::Hasty, Self::Roomy, Self::Bare];

    /// Lines of `plugins.toml`.
    pub fn lines(self) -> &'static str {
        match self {
            Self::Tight => "limits.memory-mib = 32",
            Self::Hasty => "limits.compute-milliseconds = 10",
            Self::Roomy => "limits.memory-mib = 2048",
            Self::Bare => "grants = []\nlimits.memory-mib = 32",
        }
    }
}

/// As what the component is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Role(Role),
    /// A tool, when a worker calls it.
    Tool,
    /// A tool, when it has to say what it is: that is where it lies.
    Load,
}

impl fmt::Display for By {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Role(role) => role.as_str(),
            Self::Tool => "tool",
            Self::Load => "load",
        })
    }
}

/// One attack.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What it is called; of the tests' own component also what it is told, and of
    /// one that is loaded its setting `specs`.
    pub name: String,
    pub by: By,
    pub table: Table,
    /// The text of a component of its own; none: the tests' component.
    pub text: Option<String>,
    /// What stands in the answer.
    pub answer: &'static str,
    /// Whether it calls the host a million times, which takes seconds.
    pub is_slow: bool,
}

impl Attack {
    /// Its name in the table that is printed.
    pub fn shown(&self) -> String {
        let bare = if self.table == Table::Bare { ", no grants" } else { "" };
        format!("{}{bare}", self.name)
    }
}

/// Functions that take a text or a list of bytes.
const IMPORTS: [&str; 20] = [
    "files.read",
    "files.read-lines",
    "files.list",
    "files.tree",
    "files.search",
    "files-write.write",
    "files-write.edit",
    "files-write.remove",
    "files-write.rename",
    "git.diff",
    "git.log",
    "git-write.commit-and-push",
    "git-write.prepare",
    "commands.run",
    "settings.get",
    "log.write",
    "tools.call",
    "lm.open",
    "lm.say",
    "lm.answer",
];

const TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted (32 MiB at a time)";
const UNREACHABLE: &str = "wasm `unreachable` instruction executed";
const TOO_LONG: &str = "computed for more than 10 ms without a call to the host";
const ALL_DENIED: &str = "18 of 18 denied, not: ";
/// What ends with nothing let nothing through.
const NOTHING: &str = "160 tried, through: ";

/// What the tests' component does, in the order of the table that is printed.
const OWN: [(&str, By, Table, &str); 28] = [
    ("loop", By::Role(Role::SubPlanner), Table::Hasty, TOO_LONG),
    ("loop", By::Tool, Table::Hasty, TOO_LONG),
    ("recursion", By::Role(Role::SubPlanner), Table::Tight, "call stack exhausted (512 KiB)"),
    (
        "memory",
        By::Role(Role::SubPlanner),
        Table::Tight,
        "its limit is 32 MiB (limits.memory-mib in plugins.toml)",
    ),
    ("memory", By::Tool, Table::Tight, "its limit is 32 MiB (limits.memory-mib in plugins.toml)"),
    ("log", By::Role(Role::SubPlanner), Table::Tight, "it logged more than 16 MiB"),
    (
        "conversations",
        By::Role(Role::SubPlanner),
        Table::Tight,
        "asked for more than 8 conversations at once",
    ),
    (
        "settings",
        By::Role(Role::SubPlanner),
        Table::Tight,
        "called the host more than 1000000 times",
    ),
    (
        "ungranted-loop",
        By::Role(Role::SubPlanner),
        Table::Tight,
        "called the host more than 1000000 times",
    ),
    // What a planner has no right to: writing, landing, commands.
    ("ungranted", By::Role(Role::SubPlanner), Table::Tight, "7 of 18 denied, not: files.read,"),
    // Nor has a tool a model or tools.
    ("ungranted", By::Tool, Table::Tight, "10 of 18 denied, not: files.read,"),
    ("ungranted", By::Role(Role::SubPlanner), Table::Bare, ALL_DENIED),
    ("ungranted", By::Role(Role::Worker), Table::Bare, ALL_DENIED),
    ("ungranted", By::Tool, Table::Bare, ALL_DENIED),
    ("huge-answer", By::Role(Role::SubPlanner), Table::Roomy, TOO_MUCH),
    ("huge-answer", By::Tool, Table::Roomy, TOO_MUCH),
    ("error", By::Role(Role::SubPlanner), Table::Tight, "unavailable: this domain asks for"),
    ("trap", By::Role(Role::MainPlanner), Table::Tight, UNREACHABLE),
    ("trap", By::Role(Role::SubPlanner), Table::Tight, UNREACHABLE),
    ("trap", By::Role(Role::Worker), Table::Tight, UNREACHABLE),
    ("trap", By::Role(Role::Merger), Table::Tight, UNREACHABLE),
    ("trap", By::Role(Role::Judge), Table::Tight, UNREACHABLE),
    ("trap", By::Tool, Table::Tight, UNREACHABLE),
    ("escapes", By::Role(Role::Worker), Table::Tight, NOTHING),
    ("escapes", By::Role(Role::SubPlanner), Table::Tight, NOTHING),
    ("escapes", By::Tool, Table::Tight, NOTHING),
    ("growing", By::Tool, Table::Tight, "a.txt has 1 lines"),
    ("trap", By::Load, Table::Tight, "when asked for its tools, it crashed: wasm trap: wasm `unr"),
];

/// What the toolbox says of itself.
const LIES: [(&str, &str); 5] = [
    ("shadow", "`run_command` has the name of one of the host's own tools"),
    ("no schema", "has parameters that are no JSON Schema of an object"),
    ("deep lie", "its `properties/a/items` is no schema"),
    ("read", "has no right to `files` while it says what its tools are"),
    ("loop", TOO_LONG),
];

/// All of them.
pub fn all() -> Vec<Attack> {
    let own = |name: &str, by, table, answer| Attack {
        name: name.to_owned(),
        by,
        table,
        text: None,
        answer,
        is_slow: matches!(name, "settings" | "ungranted-loop"),
    };
    let planner = By::Role(Role::SubPlanner);
    let mut attacks: Vec<Attack> =
        OWN.into_iter().map(|(name, by, table, answer)| own(name, by, table, answer)).collect();
    // Who only lies needs time to say so, however slow the machine is.
    attacks.extend(LIES.map(|(name, answer)| {
        let table = if name == "loop" { Table::Hasty } else { Table::Tight };
        own(name, By::Load, table, answer)
    }));
    attacks.extend(
        IMPORTS.map(|import| own(&format!("huge {import}"), planner, Table::Roomy, TOO_MUCH)),
    );
    attacks.extend(texts::all().into_iter().map(|(name, text, answer)| {
        let table = if name == "start-loop" { Table::Hasty } else { Table::Tight };
        Attack { text: Some(text), ..own(name, planner, table, answer) }
    }));
    attacks
}
