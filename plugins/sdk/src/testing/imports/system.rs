//! The system's small interfaces: `commands`, `settings` and `log`.

/// The commands of a [`testing::Host`](crate::testing::Host), which say what the
/// test set. In a component, they run in the caller's checkout, sandboxed.
pub mod commands {
    pub use crate::bindings::imports::code_agent::plugin::commands::CommandOutput;
    use crate::testing::Event;
    use crate::testing::state::granted;
    use crate::types::Error;

    /// What the test set for this command line.
    pub fn run(command_line: &str, _timeout_seconds: u32) -> Result<CommandOutput, Error> {
        granted("commands", |state| {
            state.events.push(Event::Command(command_line.to_owned()));
            match state.commands.get(command_line) {
                Some(output) => Ok(output.clone()),
                None => panic!(
                    "no command `{command_line}` is set: add `.command({command_line:?}, 0, …)`"
                ),
            }
        })
    }
}

/// What the user set for this plugin.
pub mod settings {
    use crate::testing::state::granted;
    use crate::types::Error;

    /// None where nothing is set.
    pub fn get(key: &str) -> Result<Option<String>, Error> {
        granted("settings", |state| Ok(state.settings.get(key).cloned()))
    }
}

/// The host's log; a test finds it in [`Ran::logged`](crate::testing::Ran::logged).
pub mod log {
    pub use crate::bindings::imports::code_agent::plugin::log::Level;
    use crate::testing::Event;
    use crate::testing::state::with;

    /// Writes one line.
    pub fn write(level: Level, message: &str) {
        with(|state| state.events.push(Event::Logged(level, message.to_owned())));
    }
}
