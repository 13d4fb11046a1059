//! A host for tests. Outside of a component, whatever this crate would ask of the
//! host is answered by a [`Host`] that the test sets up: a folder in memory, a
//! model that follows a script, commands and tools with set answers. Roles and
//! tools are plain Rust under `cargo test`, with no model and no component. The
//! guide has [a page about it](crate::guide::testing).
//!
//! Owns what a test can set up and look at afterwards. The fake answers as the
//! real host would, as far as a plugin can tell, but it holds nobody to limits.
//! It is not there in a component.
//!
//! ```
//! use code_agent_sdk::files;
//! use code_agent_sdk::testing::Host;
//!
//! let ran = Host::new()
//!     .file("notes.txt", "one\ntwo\n")
//!     .run(|| files::read_lines("notes.txt", 2, 2));
//!
//! assert_eq!(ran.returned, Ok("two\n".to_owned()));
//! ```

#![expect(clippy::panic, reason = "what a test forgot to script has to fail the test")]

pub(crate) mod imports;
mod ran;
mod script;
mod state;

use std::rc::Rc;

use crate::commands::CommandOutput;
use crate::git::Commit;
use crate::lm::Reply;
use crate::tools::ToolSpec;
use crate::types::Error;

pub use ran::{Event, Ran};
pub use script::{brief, call, calls, draft, task, text};
use state::State;

/// What a plugin finds when it runs, set up by a test. Everything that is not set
/// up is empty: no file, no setting, no tool of the host's, and a model with
/// nothing to say.
#[derive(Default)]
pub struct Host(State);

impl Host {
    /// A host with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file in the checkout, as it is at the branch's tip.
    #[must_use]
    pub fn file(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.0.files.insert(path.to_owned(), contents.as_ref().to_vec());
        self
    }

    /// A path that is listed and can't be read, such as a link that leads nowhere,
    /// and what the host says of it.
    #[must_use]
    pub fn unreadable(mut self, path: &str, error: Error) -> Self {
        self.0.unreadable.insert(path.to_owned(), error);
        self
    }

    /// What the user set in `plugins.toml`.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.0.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// What a command line says when the plugin itself runs it. The command has
    /// to be written exactly so.
    #[must_use]
    pub fn command(mut self, command_line: &str, exit_code: i32, output: &str) -> Self {
        let output = CommandOutput {
            exit_code: Some(exit_code),
            output: output.to_owned(),
            timed_out: false,
        };
        self.0.commands.insert(command_line.to_owned(), output);
        self
    }

    /// A tool of the host's, or of another plugin. It gets the arguments as the
    /// model wrote them, and may use [`files`](crate::files) and the rest.
    #[must_use]
    pub fn tool(
        mut self,
        name: &str,
        answer: impl Fn(&str) -> Result<String, Error> + 'static,
    ) -> Self {
        let spec = ToolSpec {
            name: name.to_owned(),
            description: format!("The test's {name}."),
            parameters: r#"{"type":"object"}"#.to_owned(),
            writes: false,
        };
        self.0.tools.push((spec, Rc::new(answer)));
        self
    }

    /// What the model says next, after all that was scripted before: see
    /// [`call`], [`calls`] and [`text`].
    #[must_use]
    pub fn reply(mut self, reply: Reply) -> Self {
        self.0.replies.push_back(Ok(reply));
        self
    }

    /// Instead of a reply, the model's server fails.
    #[must_use]
    pub fn reply_fails(mut self, error: Error) -> Self {
        self.0.replies.push_back(Err(error));
        self
    }

    /// What `git_write::prepare` says next. Where nothing is scripted, nothing
    /// would stay out.
    #[must_use]
    pub fn prepares(mut self, answer: Result<Vec<String>, Error>) -> Self {
        self.0.prepares.push_back(answer);
        self
    }

    /// What `git::diff` says, whatever it is asked to compare.
    #[must_use]
    pub fn diff(mut self, diff: &str) -> Self {
        self.0.diff = diff.to_owned();
        self
    }

    /// A commit that `git::log` tells of; the newest first.
    #[must_use]
    pub fn commit(mut self, id: &str, summary: &str) -> Self {
        let (id, summary) = (id.to_owned(), summary.to_owned());
        self.0.commits.push(Commit { id, summary, author: "a person".to_owned(), time: 0 });
        self
    }

    /// Denies an interface by its name in the contract, such as `commands` or
    /// `files-write`.
    #[must_use]
    pub fn deny(mut self, interface: &str) -> Self {
        self.0.denied.insert(interface.to_owned());
        self
    }

    /// Runs a plugin's code with this host, and says what came of it.
    ///
    /// # Panics
    /// When the code asks for a reply or runs a command that is not scripted,
    /// when replies are left over, and when another host runs on this thread.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> Ran<T> {
        let (returned, state) = state::run(self.0, work);
        let left = state.replies.len();
        assert!(left == 0, "{left} of the model's scripted replies were not asked for");
        Ran { returned, events: state.events, files: state.files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    #[test]
    fn what_is_denied_says_so_and_nothing_is_done() {
        let ran = Host::new().deny("commands").run(|| commands::run("true", 1));
        assert!(matches!(&ran.returned, Err(Error::Denied(text)) if text.contains("`commands`")));
        assert_eq!(ran.commands(), [""; 0]);
    }

    #[test]
    #[should_panic(expected = "1 of the model's scripted replies")]
    fn replies_that_are_left_over_fail_the_test() {
        Host::new().reply(text("Hello?")).run(|| ());
    }

    #[test]
    #[should_panic(expected = "no command `make`")]
    fn a_command_that_is_not_scripted_fails_the_test() {
        Host::new().run(|| commands::run("make", 1));
    }

    #[test]
    #[should_panic(expected = "testing::Host")]
    fn without_a_host_there_is_nobody_to_ask() {
        let _ = commands::run("make", 1);
    }

    #[test]
    fn a_test_that_failed_leaves_no_host_behind() {
        let wrong = || -> u8 { panic!("on purpose") };
        let failed = std::panic::catch_unwind(|| Host::new().run(wrong));
        assert!(failed.is_err());
        assert_eq!(Host::new().run(|| 1).returned, 1);
    }
}
