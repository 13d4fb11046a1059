//! Measures the checkout as it is and as it was. Owns which files are looked at
//! and how what they were is found; knows nothing of models.

use std::collections::BTreeMap;

use code_agent_sdk::types::Error;
use code_agent_sdk::{files, git, sentence};

use crate::language;
use crate::metrics::{self, FileMetrics, Totals};
use crate::past::{self, Then};

/// So many files are measured at most.
const MOST_FILES: u32 = 5_000;
/// In bytes: larger files are made by programs, and left aside.
const LARGEST: u32 = 1 << 19;
/// In bytes: what all files together may hold.
const MOST_BYTES: usize = 64 << 20;
/// So many lines may they have: of each a few bytes are kept, and memory is
/// limited.
const MOST_LINES: usize = 2_000_000;
/// In bytes: what the changed files may hold, whose texts are kept as they were.
const MOST_CHANGED_BYTES: usize = 32 << 20;
/// So many commits back is the cycle's start looked for.
const MOST_COMMITS: u32 = 200;
/// The host ends a diff that it cuts with this.
const CUT: &str = "\n[cut after ";

/// What was measured.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// None where it is not known.
    pub before: Option<Totals>,
    pub after: Totals,
    /// The files that the cycle changed.
    pub changed: Vec<Changed>,
    /// What could not be measured, in sentences.
    pub gaps: Vec<String>,
}

/// One file that the cycle changed. None: it is not there.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    pub path: String,
    pub before: Option<FileMetrics>,
    pub after: Option<FileMetrics>,
}

/// Measures what changed between the two commits, and all around it. The checkout
/// stands on `head`.
///
/// # Errors
/// Those of the host's `files` and `git`.
pub fn survey(base: &str, head: &str) -> Result<Survey, Error> {
    let mut gaps = Vec::new();
    let Some(diffs) = diffs(base, head)? else {
        let now = current(&BTreeMap::new(), &mut gaps)?;
        gaps.push("The cycle's diff is too long to tell what was before.".to_owned());
        let after = metrics::total(now.values());
        return Ok(Survey { before: None, after, changed: Vec::new(), gaps });
    };
    let mut left = MOST_CHANGED_BYTES;
    let past = past::before(&diffs, |path| match read(path) {
        Ok(Some(text)) if text.len() <= left => {
            left -= text.len();
            Then::Text(text)
        }
        Err(Error::NotFound(_)) => Then::Absent,
        Ok(_) | Err(_) => Then::Unknown,
    });
    drop(diffs);
    let now = current(&past, &mut gaps)?;
    let unknown = past.values().filter(|then| **then == Then::Unknown).count();
    if unknown > 0 {
        gaps.push(format!(
            "{unknown} changed files are left aside: they or their diffs can't be read."
        ));
    }
    let then: BTreeMap<&str, FileMetrics> = past
        .iter()
        .filter_map(|(path, then)| Some((path.as_str(), measured(path, then)?)))
        .collect();
    let unchanged = now.iter().filter(|(path, _)| !past.contains_key(*path));
    let old = unchanged.map(|(_, file)| file).chain(then.values());
    Ok(Survey {
        before: Some(metrics::total(old)),
        after: metrics::total(now.values()),
        changed: changed(&past, &then, &now),
        gaps,
    })
}

/// The diffs that lead from the head back to the base, the newest first: the
/// whole one, or where that is cut, one for each commit. None if one is cut even
/// then.
fn diffs(base: &str, head: &str) -> Result<Option<Vec<String>>, Error> {
    let whole = git::diff(base, Some(head))?;
    if !whole.contains(CUT) {
        return Ok(Some(vec![whole]));
    }
    let commits = git::log(None, MOST_COMMITS)?;
    let mut ids = commits.iter().map(|commit| commit.id.as_str()).skip_while(|id| *id != head);
    let mut diffs = Vec::new();
    let mut newer = ids.next();
    while let (Some(id), Some(older)) = (newer, ids.next()) {
        let diff = git::diff(older, Some(id))?;
        if diff.contains(CUT) {
            return Ok(None);
        }
        diffs.push(diff);
        if older == base {
            return Ok(Some(diffs));
        }
        newer = Some(older);
    }
    Ok(None)
}

/// All files as they are, but for those whose past is unknown: what can't be
/// compared would look like a change.
fn current(
    past: &BTreeMap<String, Then>,
    gaps: &mut Vec<String>,
) -> Result<BTreeMap<String, FileMetrics>, Error> {
    let listing = files::list(&language::globs(), MOST_FILES)?;
    let (mut bytes, mut lines) = (0, 0);
    let mut cut = listing.truncated;
    let mut unread = Vec::new();
    let mut found = BTreeMap::new();
    for path in listing.paths {
        let Some(language) = language::of(&path) else { continue };
        if past.get(&path) == Some(&Then::Unknown) {
            continue;
        }
        let text = match read(&path) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(error) => {
                unread.push((path, error));
                continue;
            }
        };
        let file = metrics::measure(&text, language);
        bytes += text.len();
        lines += file.lines;
        if bytes > MOST_BYTES || lines > MOST_LINES {
            cut = true;
            break;
        }
        found.insert(path, file);
    }
    if cut {
        gaps.push(format!("Only the first {} files are measured.", found.len()));
    }
    // A listing has links, too, that lead nowhere or out of the checkout.
    if let Some((path, error)) = unread.first() {
        let (count, why) = (unread.len(), sentence(error));
        gaps.push(format!("{count} files can't be read and are left out, `{path}` first: {why}."));
    }
    Ok(found)
}

/// A file's text; none where it is too large.
fn read(path: &str) -> Result<Option<String>, Error> {
    let bytes = files::read(path, 0, LARGEST + 1)?;
    let fits = bytes.len() <= LARGEST as usize;
    Ok(fits.then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

fn measured(path: &str, then: &Then) -> Option<FileMetrics> {
    match then {
        Then::Text(text) if text.len() <= LARGEST as usize => {
            Some(metrics::measure(text, language::of(path)?))
        }
        _ => None,
    }
}

fn changed(
    past: &BTreeMap<String, Then>,
    then: &BTreeMap<&str, FileMetrics>,
    now: &BTreeMap<String, FileMetrics>,
) -> Vec<Changed> {
    let known = past.iter().filter(|(_, then)| **then != Then::Unknown);
    let change = |(path, _): (&String, &Then)| Changed {
        path: path.clone(),
        before: then.get(path.as_str()).cloned(),
        after: now.get(path).cloned(),
    };
    known.map(change).filter(|one| one.before.is_some() || one.after.is_some()).collect()
}
