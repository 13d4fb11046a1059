//! What an agent may do: a role's rights, as plain sets. One interface of the
//! contract is one grant. Pure: checked in every function that the host
//! offers, and tested here.

use std::fmt;

use crate::types::Role;

/// The right to use one interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Ask the model.
    Lm,
    /// See and call the tools.
    Tools,
    /// Read the checkout.
    Files,
    /// Change the checkout.
    FilesWrite,
    /// Read the history.
    Git,
    /// Commit and land.
    GitWrite,
    /// Run commands in the checkout.
    Commands,
    /// Read what the user set for the plugin.
    Settings,
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lm => "lm",
            Self::Tools => "tools",
            Self::Files => "files",
            Self::FilesWrite => "files-write",
            Self::Git => "git",
            Self::GitWrite => "git-write",
            Self::Commands => "commands",
            Self::Settings => "settings",
        })
    }
}

/// What one agent may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(&'static [Grant]);

const READER: &[Grant] = &[Grant::Lm, Grant::Tools, Grant::Files, Grant::Git, Grant::Settings];
const WORKER: &[Grant] = &[
    Grant::Lm,
    Grant::Tools,
    Grant::Files,
    Grant::Git,
    Grant::Settings,
    Grant::FilesWrite,
    Grant::GitWrite,
];

impl Rights {
    /// The rights that come with a role. Planners and the judge read; a
    /// worker reads and writes. Commands are nobody's while there is no
    /// sandbox to run them in.
    pub fn of(role: Role) -> Self {
        match role {
            Role::MainPlanner | Role::SubPlanner | Role::Judge => Self(READER),
            Role::Worker => Self(WORKER),
        }
    }

    /// Whether the right is among them.
    pub fn allows(self, grant: Grant) -> bool {
        self.0.contains(&grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workers_write_and_nobody_runs_commands() {
        for role in Role::ALL {
            let rights = Rights::of(role);
            assert_eq!(rights.allows(Grant::FilesWrite), role == Role::Worker);
            assert_eq!(rights.allows(Grant::GitWrite), role == Role::Worker);
            assert!(!rights.allows(Grant::Commands));
            assert!(rights.allows(Grant::Files) && rights.allows(Grant::Lm));
        }
    }
}
