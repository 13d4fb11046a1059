//! What hostile components try, and the words that the host has to answer with.

use code_agent::types::Role;

use crate::texts;

/// Which limits a component gets, beside the usual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limits {
    /// Little memory, so that taking it all is quick.
    Tight,
    /// Next to no time to compute.
    Hasty,
    /// Memory for a text of 1 GiB.
    Roomy,
}

impl Limits {
    /// Lines of `plugins.toml`.
    pub fn lines(self) -> &'static str {
        match self {
            Self::Tight => "memory-mib = 32",
            Self::Hasty => "compute-milliseconds = 10",
            Self::Roomy => "memory-mib = 2048",
        }
    }
}

/// One attack.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What it is called; of the tests' own component also what it is told.
    pub name: String,
    pub role: Role,
    pub limits: Limits,
    /// The text of a component of its own; none: the tests' component.
    pub text: Option<String>,
    /// What stands in the answer.
    pub answer: &'static str,
    /// Whether it takes the host seconds, so that once is enough.
    pub is_slow: bool,
}

/// Functions that take a text or a list of bytes.
const IMPORTS: [&str; 19] = [
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

/// All of them.
pub fn all() -> Vec<Attack> {
    let own = |name: &str, limits, answer| Attack {
        name: name.to_owned(),
        role: Role::SubPlanner,
        limits,
        text: None,
        answer,
        is_slow: matches!(name, "settings" | "ungranted-loop"),
    };
    let mut attacks = vec![
        own("loop", Limits::Hasty, "computed for more than 10 ms without a call to the host"),
        own("recursion", Limits::Tight, "call stack exhausted (512 KiB)"),
        own("memory", Limits::Tight, "its limit is 32 MiB (limits.memory-mib in plugins.toml)"),
        own("log", Limits::Tight, "it logged more than 16 MiB"),
        own("conversations", Limits::Tight, "asked for more than 8 conversations at once"),
        own("settings", Limits::Tight, "called the host more than 1000000 times"),
        own("ungranted", Limits::Tight, "run: Some(Error::Denied"),
        own("ungranted-loop", Limits::Tight, "called the host more than 1000000 times"),
        own("huge-answer", Limits::Roomy, TOO_MUCH),
        own("error", Limits::Tight, "gave up: unavailable: this domain asks for an error"),
    ];
    attacks
        .extend(Role::ALL.map(|role| Attack { role, ..own("trap", Limits::Tight, UNREACHABLE) }));
    attacks.push(Attack {
        role: Role::Worker,
        ..own("escapes", Limits::Tight, "128 tried, through: ")
    });
    attacks.extend(IMPORTS.map(|import| own(&format!("huge {import}"), Limits::Roomy, TOO_MUCH)));
    attacks.extend(texts::all().into_iter().map(|(name, text, answer)| Attack {
        text: Some(text),
        ..own(name, Limits::Tight, answer)
    }));
    attacks
}
