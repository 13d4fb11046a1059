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
pub struct Rights {
    grants: &'static [Grant],
    commands: bool,
}

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

const MERGER: &[Grant] =
    &[Grant::Lm, Grant::Tools, Grant::Files, Grant::Git, Grant::Settings, Grant::FilesWrite];

impl Rights {
    /// The rights that come with a role. Planners read; the judge reads and
    /// runs commands, in a checkout that is thrown away; a worker reads, writes,
    /// runs commands and lands; a merger does the same, but it lands nothing.
    pub fn of(role: Role) -> Self {
        match role {
            Role::MainPlanner | Role::SubPlanner => Self { grants: READER, commands: false },
            Role::Judge => Self { grants: READER, commands: true },
            Role::Worker => Self { grants: WORKER, commands: true },
            Role::Merger => Self { grants: MERGER, commands: true },
        }
    }

    /// The same where there is no sandbox to run commands in.
    pub fn without_commands(self) -> Self {
        Self { commands: false, ..self }
    }

    /// Whether the right is among them.
    pub fn allows(self, grant: Grant) -> bool {
        if grant == Grant::Commands { self.commands } else { self.grants.contains(&grant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workers_land_only_they_and_mergers_write_and_planners_run_no_commands() {
        for role in Role::ALL {
            let rights = Rights::of(role);
            let writes = matches!(role, Role::Worker | Role::Merger);
            assert_eq!(rights.allows(Grant::FilesWrite), writes);
            assert_eq!(rights.allows(Grant::GitWrite), role == Role::Worker);
            assert_eq!(rights.allows(Grant::Commands), writes || role == Role::Judge);
            assert!(!rights.without_commands().allows(Grant::Commands));
            assert!(rights.allows(Grant::Files) && rights.allows(Grant::Lm));
        }
    }
}
