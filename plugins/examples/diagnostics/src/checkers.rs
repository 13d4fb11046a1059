//! The checkers that are known: how each is run and how its output is read.
//! Owns this table; which of them a repository uses, `detection` says.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::reading::{self, Finding};

/// The checkers by name.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    Cargo,
    Eslint,
    GoVet,
    Mypy,
    Pyright,
    Ruff,
    Tsc,
}

impl Name {
    /// As models write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Eslint => "eslint",
            Self::GoVet => "go-vet",
            Self::Mypy => "mypy",
            Self::Pyright => "pyright",
            Self::Ruff => "ruff",
            Self::Tsc => "tsc",
        }
    }
}

/// A type checker or linter.
#[derive(Debug)]
pub struct Checker {
    pub name: Name,
    /// What has to be installed.
    pub program: &'static str,
    /// The command line, for the shell.
    pub command: &'static str,
    /// Whether its findings may stand on stderr, too.
    pub both_streams: bool,
    /// Reads its output. Paths in it may be absolute.
    pub read: fn(&str) -> Vec<Finding>,
}

/// Clippy says what `cargo check` says and more, but may not be installed. Both
/// work offline: a lint fetches no packages.
pub static CARGO: Checker = Checker {
    name: Name::Cargo,
    program: "cargo",
    command: "lint=check; cargo clippy --version >/dev/null 2>&1 && lint=clippy; \
              cargo $lint --workspace --all-targets --offline --message-format=json",
    both_streams: false,
    read: reading::cargo::read,
};

/// Its cache would lie in the checkout.
pub static RUFF: Checker = Checker {
    name: Name::Ruff,
    program: "ruff",
    command: "ruff check --no-cache --output-format=json-lines .",
    both_streams: false,
    read: reading::python::ruff,
};

/// For a configuration that does not say what to check.
pub static MYPY: Checker = Checker {
    name: Name::Mypy,
    program: "mypy",
    command: "mypy --cache-dir=\"$TMPDIR/mypy\" --show-column-numbers --show-error-codes \
              --no-pretty --no-color-output --no-error-summary .",
    both_streams: false,
    read: reading::python::mypy,
};

/// For a configuration that says what to check.
pub static MYPY_AS_CONFIGURED: Checker = Checker {
    command: "mypy --cache-dir=\"$TMPDIR/mypy\" --show-column-numbers --show-error-codes \
              --no-pretty --no-color-output --no-error-summary",
    ..MYPY
};

/// Needs node; PyPI's package of that name fetches it when it first runs.
pub static PYRIGHT: Checker = Checker {
    name: Name::Pyright,
    program: "pyright",
    command: "pyright --outputjson",
    both_streams: false,
    read: reading::python::pyright,
};

/// One project.
pub static TSC: Checker = Checker {
    name: Name::Tsc,
    program: "tsc",
    command: "tsc --noEmit --pretty false -p .",
    both_streams: false,
    read: reading::javascript::tsc,
};

/// A project that refers to others: alone it may have no files at all.
pub static TSC_BUILD: Checker = Checker { command: "tsc --build --noEmit --pretty false", ..TSC };

/// Whatever its configuration says.
pub static ESLINT: Checker = Checker {
    name: Name::Eslint,
    program: "eslint",
    command: "eslint --format json .",
    both_streams: false,
    read: reading::javascript::eslint,
};

/// Says what it finds on stderr or on stdout, as its version likes.
pub static GO_VET: Checker = Checker {
    name: Name::GoVet,
    program: "go",
    command: "go vet -json ./...",
    both_streams: true,
    read: reading::go::read,
};
