//! Asks for what it must not get: interfaces that its role has no right to, and
//! files outside of its checkout.

use crate::bindings::code_agent::plugin::types::Error;
use crate::bindings::code_agent::plugin::{commands, files, files_write, git_write};

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

/// One call of each function; says what each was answered. The worker has the
/// right to them all.
pub fn for_what_is_not_granted() -> Result<String, Error> {
    let answers = [
        ("write", files_write::write("a.txt", b"b", None).err()),
        ("edit", files_write::edit("a.txt", "a", "b").err()),
        ("remove", files_write::remove("a.txt").err()),
        ("rename", files_write::rename("a.txt", "b.txt").err()),
        ("commit-and-push", git_write::commit_and_push("Mine").err()),
        ("run", commands::run("true", 1).err()),
    ];
    Ok(answers.map(|(name, error)| format!("{name}: {error:?}")).join("\n"))
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
