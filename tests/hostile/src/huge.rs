//! Hands a text of 1 GiB to one import, or returns it.

// The text is made of memory that is never touched, which safe code can't do.
#![allow(unsafe_code)]

use crate::bindings::code_agent::plugin::files::{self, Query};
use crate::bindings::code_agent::plugin::log::{self, Level};
use crate::bindings::code_agent::plugin::tools::{self, ToolCall, ToolResult};
use crate::bindings::code_agent::plugin::types::Error;
use crate::bindings::code_agent::plugin::{commands, files_write, git, git_write, lm, settings};

#[cfg(target_arch = "wasm32")]
const PAGE: usize = 64 << 10;
#[cfg(target_arch = "wasm32")]
const SIZE: usize = 1 << 30;

/// 1 GiB of zeros, which are a text of NULs. Costs nothing until it is read.
#[cfg(target_arch = "wasm32")]
pub fn text() -> String {
    let first = core::arch::wasm32::memory_grow::<0>(SIZE / PAGE);
    assert_ne!(first, usize::MAX, "the test gives memory enough");
    let start = (first * PAGE) as *mut u8;
    // SAFETY: these pages are fresh, zeroed and nobody else's. They are never
    // given back, for the allocator doesn't know them.
    unsafe { String::from_raw_parts(start, SIZE, SIZE) }
}

#[cfg(not(target_arch = "wasm32"))]
pub fn text() -> String {
    String::new()
}

/// The import by its name. Whether the host took it is in the answer.
pub fn hand_over(import: &str) -> Result<String, Error> {
    let huge = text();
    let answered = call(import, &huge);
    std::mem::forget(huge);
    answered.map(|()| format!("{import} took it"))
}

/// A text of its own out of the same memory; it has to be forgotten.
fn owned(huge: &str) -> String {
    // SAFETY: as above. Both are forgotten, so that nobody frees either.
    unsafe { String::from_raw_parts(huge.as_ptr().cast_mut(), huge.len(), huge.len()) }
}

fn call(import: &str, huge: &str) -> Result<(), Error> {
    match import {
        "files.read" => drop(files::read(huge, 0, 1)?),
        "files.read-lines" => drop(files::read_lines(huge, 1, 1)?),
        "files.list" => drop(files::list(&[owned(huge)], 1)?),
        "files.tree" => drop(files::tree(huge, 1)?),
        "files.search" => {
            let query = Query {
                pattern: owned(huge),
                globs: Vec::new(),
                ignore_case: false,
                context_lines: 0,
                max_hits: 1,
            };
            drop(files::search(&query)?);
        }
        "files-write.write" => files_write::write("a", huge.as_bytes(), None)?,
        "files-write.edit" => files_write::edit("a", "b", huge)?,
        "files-write.remove" => files_write::remove(huge)?,
        "files-write.rename" => files_write::rename("a", huge)?,
        "git.diff" => drop(git::diff(huge, None)?),
        "git.log" => drop(git::log(Some(huge), 1)?),
        "git-write.commit-and-push" => drop(git_write::commit_and_push(huge)?),
        "git-write.prepare" => drop(git_write::prepare(&[owned(huge)])?),
        "commands.run" => drop(commands::run(huge, 1)?),
        "settings.get" => drop(settings::get(huge)?),
        "log.write" => log::write(Level::Info, huge),
        "tools.call" => {
            let (id, name) = ("1".to_owned(), "read_file_content".to_owned());
            drop(tools::call(&[ToolCall { id, name, arguments: owned(huge) }])?);
        }
        "lm.open" => drop(open(owned(huge))?),
        "lm.say" => open(String::new())?.say(huge)?,
        "lm.answer" => {
            let result = ToolResult { id: "1".to_owned(), output: owned(huge), is_error: false };
            open(String::new())?.answer(&[result])?;
        }
        other => return Err(Error::NotFound(other.to_owned())),
    }
    Ok(())
}

fn open(system: String) -> Result<lm::Conversation, Error> {
    lm::Conversation::open(&lm::Options { system, tools: Vec::new(), max_output_tokens: None })
}
