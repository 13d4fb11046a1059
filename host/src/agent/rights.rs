//! What an agent may do: a role's rights, as plain sets. One interface of the
//! contract is one grant. Pure: checked in every function that the host
//! offers, and tested here.

use std::fmt;

use crate::types::Role;

/// The right to use one interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl Grant {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Files,
        Self::FilesWrite,
        Self::Git,
        Self::GitWrite,
        Self::Commands,
        Self::Lm,
        Self::Tools,
        Self::Settings,
    ];

    /// The name that `plugins.toml` and the WIT interfaces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lm => "lm",
            Self::Tools => "tools",
            Self::Files => "files",
            Self::FilesWrite => "files-write",
            Self::Git => "git",
            Self::GitWrite => "git-write",
            Self::Commands => "commands",
            Self::Settings => "settings",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A set of grants: one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

const READER: Rights =
    Rights::these(&[Grant::Lm, Grant::Tools, Grant::Files, Grant::Git, Grant::Settings]);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);

    /// These and no others.
    pub const fn these(grants: &[Grant]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < grants.len() {
            bits |= 1 << grants[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// The rights that come with a role. Planners read; the judge reads and
    /// runs commands, in a checkout that is thrown away; a worker reads, writes,
    /// runs commands and lands; a merger does the same, but it lands nothing.
    pub const fn of(role: Role) -> Self {
        match role {
            Role::MainPlanner | Role::SubPlanner => READER,
            Role::Judge => READER.with(Grant::Commands),
            Role::Merger => READER.with(Grant::Commands).with(Grant::FilesWrite),
            Role::Worker => Self::of(Role::Merger).with(Grant::GitWrite),
        }
    }

    /// These, and this one.
    pub const fn with(self, grant: Grant) -> Self {
        Self(self.0 | Self::these(&[grant]).0)
    }

    /// All of these that are in `other` too.
    pub const fn also_in(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// All of these that are not in `other`.
    pub const fn beyond(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the right is among them.
    pub const fn allows(self, grant: Grant) -> bool {
        self.0 & Self::these(&[grant]).0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One by one, in the usual order.
    pub fn list(self) -> impl Iterator<Item = Grant> {
        Grant::ALL.into_iter().filter(move |grant| self.allows(*grant))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.list().map(Grant::as_str).collect();
        formatter.write_str(&names.join(", "))
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
            assert!(!rights.beyond(Rights::these(&[Grant::Commands])).allows(Grant::Commands));
            assert!(rights.allows(Grant::Files) && rights.allows(Grant::Lm));
        }
    }

    #[test]
    fn sets_are_sets() {
        let all = Rights::these(&Grant::ALL);
        assert_eq!(all.list().collect::<Vec<_>>(), Grant::ALL);
        for grant in Grant::ALL {
            let one = Rights::these(&[grant]);
            assert_eq!(one.list().collect::<Vec<_>>(), [grant]);
            assert_eq!((all.also_in(one), all.beyond(one).with(grant)), (one, all));
            assert!(!all.beyond(one).allows(grant) && !Rights::NONE.allows(grant));
        }
        assert_eq!(Rights::these(&[Grant::Git, Grant::Files]).to_string(), "files, git");
    }
}
