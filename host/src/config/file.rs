//! What configs of both kinds and `plugins.toml` have in common: reading TOML so
//! that a wrong key is named with the nearest right one, and no message repeats
//! what stands in the file, for that may be a key.

#![expect(clippy::disallowed_methods, reason = "configs are no files of a checkout")]

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::{Options, duration};
use crate::{Error, Result};

/// Bytes of a config; more is no config.
const LONGEST: u64 = 256 * 1024;
/// Words less alike than this (from 0 to 1) are no suggestion.
const LEAST_LIKENESS: f64 = 0.7;

/// The keys that both kinds of config may have at their top.
pub(super) const BOUNDS: [&str; 7] =
    ["branch", "push", "max-cycles", "max-workers", "max-tokens", "max-cost", "max-time"];

/// How far runs go where no flag says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) branch: Option<String>,
    pub(crate) push: Option<bool>,
    pub(crate) max_cycles: Option<u32>,
    pub(crate) max_workers: Option<u32>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_cost: Option<f64>,
    pub(crate) max_time: Option<Duration>,
}

impl Bounds {
    /// Lays them over what the options say.
    pub(crate) fn overlay(self, options: &mut Options) {
        options.branch = self.branch.unwrap_or_else(|| std::mem::take(&mut options.branch));
        options.push = self.push.unwrap_or(options.push);
        options.max_cycles = self.max_cycles.unwrap_or(options.max_cycles);
        options.max_workers = self.max_workers.unwrap_or(options.max_workers);
        options.max_tokens = self.max_tokens.or(options.max_tokens);
        options.max_cost = self.max_cost.or(options.max_cost);
        options.max_time = self.max_time.or(options.max_time);
    }
}

/// A table of a config, with the words for messages about it.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) path: &'a Path,
    /// As it is written: `[models.worker]`; empty for the top.
    pub(crate) name: &'a str,
    pub(crate) table: &'a Table,
}

/// Reads a config; none where there is no such file. The error for a file that
/// is no TOML names the line and not what stands in it.
pub(crate) fn read(path: &Path) -> Result<Option<(Table, Metadata)>> {
    let cannot = |error: std::io::Error| {
        Error::usage(format!("can't read the config {}: {error}", path.display()))
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let metadata = file.metadata().map_err(cannot)?;
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        return Err(Error::usage(format!("the config {} is longer than 256 KiB", path.display())));
    }
    Ok(Some((parse(path, &text)?, metadata)))
}

/// Parses what stands in the file at `path`.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Table> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::usage(format!("{} is no TOML in line {line}", path.display()))
    })
}

/// The sentence for a word that nobody knows.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let shown: String = word.chars().filter(|letter| !letter.is_control()).take(80).collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(name, word), name))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS);
    match nearest {
        Some((_, name)) => format!("`{shown}` is not {what}; did you mean `{name}`?"),
        None => format!("`{shown}` is not {what}; there are {}", known.join(", ")),
    }
}

impl<'a> Section<'a> {
    /// Refuses keys that are not among these.
    pub(crate) fn check_keys(&self, known: &[&str]) -> Result<()> {
        match self.table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self.wrong(&unknown("a key that is known here", key, known))),
        }
    }

    /// The tables in the table `name`, each with its own name.
    pub(crate) fn tables(&self, name: &str) -> Result<Vec<(&'a str, &'a Table)>> {
        let Some(value) = self.table.get(name) else { return Ok(Vec::new()) };
        let table = value.as_table().ok_or_else(|| self.no(name, "a table"))?;
        let tables = table.iter().map(|(inner, value)| {
            let wrong = || self.wrong(&format!("[{name}.{inner}] has to be a table"));
            Ok((inner.as_str(), value.as_table().ok_or_else(wrong)?))
        });
        tables.collect()
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>> {
        self.get(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn whole<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>> {
        self.get(key, "a whole number, 0 or more", |value| {
            value.as_integer().filter(|number| *number >= 0)?.try_into().ok()
        })
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a number", |value| {
            value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
        })
    }

    pub(crate) fn bounds(&self) -> Result<Bounds> {
        let time = self.text("max-time")?.map(|text| duration::parse(&text)).transpose();
        Ok(Bounds {
            branch: self.text("branch")?,
            push: self.get("push", "true or false", Value::as_bool)?,
            max_cycles: self.whole("max-cycles")?,
            max_workers: self.whole("max-workers")?,
            max_tokens: self.whole("max-tokens")?,
            max_cost: self.number("max-cost")?,
            max_time: time.map_err(|error| self.wrong(&error.to_string()))?,
        })
    }

    /// An error about this part of the file.
    pub(crate) fn wrong(&self, sentence: &str) -> Error {
        let name = if self.name.is_empty() { "" } else { &format!(", {}", self.name) };
        Error::usage(format!("{}{name}: {sentence}", self.path.display()))
    }

    fn get<T>(&self, key: &str, what: &str, read: fn(&Value) -> Option<T>) -> Result<Option<T>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.no(key, what)),
        }
    }

    fn no(&self, key: &str, what: &str) -> Error {
        self.wrong(&format!("`{key}` has to be {what}"))
    }
}
