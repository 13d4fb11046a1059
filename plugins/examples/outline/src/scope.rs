//! Which files a question is about, and reading them. Owns the bounds of that;
//! what was left out is told in the report.

use code_agent_sdk::files::{self, Query};
use code_agent_sdk::sentence;
use code_agent_sdk::types::Error;

use crate::language;
use crate::report::Report;
use crate::symbols::Source;

/// So many files at most are looked at for one question.
const MOST_FILES: u32 = 2_000;
/// So many lines with a name are looked at; the host's search gives no more.
const MOST_LINES: u32 = 2_000;
/// In bytes: larger files are made by programs, and where one is no code after
/// all, its parser takes more memory and time than the host gives.
const LARGEST: u32 = 256 << 10;

/// All source files that the paths name.
pub fn all(paths: &[String], report: &mut Report) -> Result<Vec<String>, Error> {
    let listing = files::list(&globs(paths), MOST_FILES)?;
    if listing.truncated {
        report.line(&format!("[only the first {MOST_FILES} files: name fewer in `paths`]"));
    }
    Ok(listing.paths.into_iter().filter(|path| language::of(path).is_some()).collect())
}

/// The source files that hold the name, in code or not.
pub fn mentioning(name: &str, paths: &[String], report: &mut Report) -> Result<Vec<String>, Error> {
    let query = Query {
        pattern: pattern(name)?,
        globs: globs(paths),
        ignore_case: false,
        context_lines: 0,
        max_hits: MOST_LINES,
    };
    let found = files::search(&query)?;
    if found.truncated {
        report.line(&format!(
            "[more than {MOST_LINES} lines hold `{name}`, and files beyond them are not looked \
             at: name a part of the repository in `paths`]"
        ));
    }
    let mut paths: Vec<_> = found.hits.into_iter().map(|hit| hit.path).collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| language::of(path).is_some());
    Ok(paths)
}

/// Reads and parses a file; none where that can't be done, which is reported. A
/// listing has links, too, that lead nowhere or out of the checkout: one such file
/// must not cost the answer about the others.
pub fn open(path: &str, report: &mut Report) -> Option<Source> {
    let language = language::of(path)?;
    let bytes = match files::read(path, 0, LARGEST + 1) {
        Ok(bytes) if bytes.len() > LARGEST as usize => {
            report.line(&format!("{path} (larger than 256 KiB, left out)"));
            return None;
        }
        Ok(bytes) => bytes,
        Err(error) => {
            report.line(&format!("{path} (left out: {})", sentence(&error)));
            return None;
        }
    };
    let source = Source::parse(path, language, String::from_utf8_lossy(&bytes).into_owned());
    if source.is_none() {
        report.line(&format!("{path} (can't be parsed, left out)"));
    }
    source
}

/// What is looked at, for an answer that found nothing.
pub fn known() -> String {
    format!("looked at are files like {}", language::globs().join(", "))
}

fn globs(paths: &[String]) -> Vec<String> {
    if paths.is_empty() { language::globs() } else { paths.to_vec() }
}

/// A pattern for the name as a whole word.
fn pattern(name: &str) -> Result<String, Error> {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '#');
    if name.is_empty() || !name.chars().all(is_part) {
        return Err(Error::Invalid(format!(
            "`{name}` is no name: write one as it stands in code, such as `parse`"
        )));
    }
    let is_word = |letter: Option<char>| letter.is_some_and(|letter| !matches!(letter, '$' | '#'));
    let escaped = name.replace('$', "\\$").replace('#', "\\#");
    let edge = |letter| if is_word(letter) { "\\b" } else { "" };
    Ok(format!("{}{escaped}{}", edge(name.chars().next()), edge(name.chars().last())))
}
