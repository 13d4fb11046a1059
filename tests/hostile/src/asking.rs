//! Asks for what it must not get: interfaces that its role has no right to, and
//! files outside of its checkout.

use crate::bindings::code_agent::plugin::files::Query;
use crate::bindings::code_agent::plugin::lm::{Conversation, Options};
use crate::bindings::code_agent::plugin::types::Error;
use crate::bindings::code_agent::plugin::{commands, files, files_write, git, git_write, tools};

/// Ways out of a checkout that holds the links `out` (to a folder outside) and
/// `up` (to the folder above).
const PATHS: [&str; 16] = [
    "/etc/passwd",
    "//etc/passwd",
    "../../../../../../etc/passwd",
    "./../../etc/passwd",
    "src/../../../etc/passwd",
    "out/passwd",
    "up/secret",
    "out",
    "up",
    ".git/config",
    ".GIT/config",
    ".git",
    "src/.git/hooks/pre-commit",
    "a\0/../../etc/passwd",
    "..",
    "C:\\Windows\\win.ini",
];

/// One call of each function that can be refused; says how many were, and which
/// of them were not.
pub fn for_everything() -> Result<String, Error> {
    let options = Options { system: String::new(), tools: Vec::new(), max_output_tokens: None };
    let answers = [
        ("files.read", files::read("a.txt", 0, 1).err()),
        ("files.read-lines", files::read_lines("a.txt", 1, 1).err()),
        ("files.list", files::list(&[], 1).err()),
        ("files.tree", files::tree("", 1).err()),
        ("files.search", files::search(&query("a", "**")).err()),
        ("files-write.write", files_write::write("b.txt", b"b", None).err()),
        ("files-write.edit", files_write::edit("a.txt", "a", "b").err()),
        ("files-write.remove", files_write::remove("a.txt").err()),
        ("files-write.rename", files_write::rename("a.txt", "b.txt").err()),
        ("git.status", git::status().err()),
        ("git.diff", git::diff("HEAD", None).err()),
        ("git.log", git::log(None, 1).err()),
        ("git-write.commit-and-push", git_write::commit_and_push("Mine").err()),
        ("git-write.prepare", git_write::prepare(&[]).err()),
        ("commands.run", commands::run("true", 1).err()),
        ("lm.open", Conversation::open(&options).err()),
        ("tools.specs", tools::specs().err()),
        ("tools.call", tools::call(&[]).err()),
    ];
    let all = answers.len();
    let others: Vec<&str> = answers
        .into_iter()
        .filter(|(_, error)| !matches!(error, Some(Error::Denied(_))))
        .map(|(name, _)| name)
        .collect();
    Ok(format!("{} of {all} denied, not: {}", all - others.len(), others.join(", ")))
}

fn query(pattern: &str, glob: &str) -> Query {
    Query {
        pattern: pattern.to_owned(),
        globs: vec![glob.to_owned()],
        ignore_case: false,
        context_lines: 0,
        max_hits: 100,
    }
}

pub fn for_the_same_without_end() -> ! {
    loop {
        // What it is told is all the same to it.
        let _ = commands::run("true", 1);
    }
}

/// Tries each path with each function that takes one; says what got through.
pub fn for_what_lies_outside() -> Result<String, Error> {
    let mut tried = 0;
    let mut through = Vec::new();
    for path in PATHS {
        let attempts = [
            ("read", files::read(path, 0, 100).is_ok()),
            ("read-lines", files::read_lines(path, 1, 1).is_ok()),
            ("tree", files::tree(path, 1).is_ok()),
            (
                "list",
                files::list(&[path.to_owned()], 100).is_ok_and(|found| leads_out(&found.paths)),
            ),
            (
                "search",
                files::search(&query("root", path)).is_ok_and(|found| !found.hits.is_empty()),
            ),
            ("write", files_write::write(path, b"mine", Some(true)).is_ok()),
            ("edit", files_write::edit(path, "root", "mine").is_ok()),
            ("rename to", files_write::rename("a.txt", path).is_ok()),
            ("rename", files_write::rename(&format!("{path}/passwd"), "stolen").is_ok()),
            ("remove", files_write::remove(&format!("{path}/passwd")).is_ok()),
        ];
        tried += attempts.len();
        through.extend(
            attempts.iter().filter(|(_, went)| *went).map(|(name, _)| format!("{name} {path:?}")),
        );
    }
    Ok(format!("{tried} tried, through: {}", through.join(", ")))
}

/// Links themselves belong to the checkout, what lies behind them does not.
fn leads_out(paths: &[String]) -> bool {
    paths.iter().any(|path| {
        ["passwd", "secret", ".git"].iter().any(|name| path.contains(name))
            || path.starts_with(['/', '.'])
    })
}
