//! Searches a checkout's files with a regular expression, in parallel. Which
//! files there are is the walk's business.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkFinish,
    SinkMatch,
};
use ignore::{DirEntry, WalkState};

use super::files::LARGEST_FILE;
use super::globs::Globs;
use super::output::{LONGEST_LINE, shorten};
use super::{place, walk};
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// No search returns more.
pub const MOST_HITS: u32 = 2_000;
/// More lines around a hit are not shown.
pub const MOST_CONTEXT: u32 = 20;
/// In bytes: longer patterns are refused.
const LONGEST_PATTERN: usize = 4096;
/// In bytes: what a compiled pattern may take. `(\w{100}){100}` takes more.
const LARGEST_PATTERN: usize = 4 << 20;
/// In bytes: what the caches of one thread's automaton may take.
const LARGEST_CACHE: usize = 8 << 20;

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// A regular expression, in the syntax of the `regex` crate; it matches
    /// within a line.
    pub pattern: String,
    /// As for `Globs`; none means every file.
    pub globs: Vec<String>,
    /// Whether letter case does not count.
    pub ignore_case: bool,
    /// Lines before and after each hit; at most `MOST_CONTEXT`.
    pub context_lines: u32,
    /// At most `MOST_HITS`.
    pub max_hits: u32,
}

/// A line that was found, or one around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The file.
    pub path: CheckoutPath,
    /// Counts from 1.
    pub line: u32,
    /// Without its ending, and cut where it is longer than `LONGEST_LINE`.
    pub text: String,
    /// False for a line that is shown for its neighbour's sake.
    pub matched: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// By path, then by line.
    pub hits: Vec<Hit>,
    /// Whether there were more than `max_hits`.
    pub truncated: bool,
    /// How many lines match in all, those that were cut included.
    pub total: usize,
    /// In how many files.
    pub files: usize,
    /// How many files were not searched: binary, larger than `LARGEST_FILE`,
    /// unreadable, or of a name that no path here may have.
    pub skipped: usize,
}

/// Searches every file that git would track. What is returned does not depend
/// on which thread was faster.
pub fn search(folder: &Folder, query: &Query) -> Result<Hits, CallError> {
    let matcher = compile(query)?;
    let globs = Globs::parse(&query.globs)?;
    let max_hits = query.max_hits.min(MOST_HITS) as usize;
    let found = Mutex::new(Found::default());
    walk::walk(folder, &CheckoutPath::top())?.threads(walk::threads()).build_parallel().run(|| {
        let mut searcher = searcher(query);
        let (matcher, globs, found) = (&matcher, &globs, &found);
        Box::new(move |entry| {
            let result = file_of(folder, globs, entry).and_then(|path| match path {
                None => Ok(None),
                Some(path) => search_file(folder, &mut searcher, matcher, path, max_hits).map(Some),
            });
            found.lock().unwrap_or_else(PoisonError::into_inner).add(result, max_hits);
            WalkState::Continue
        })
    });
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner).finish(max_hits))
}

fn compile(query: &Query) -> Result<RegexMatcher, CallError> {
    if query.pattern.is_empty() || query.pattern.len() > LONGEST_PATTERN {
        return Err(CallError::Invalid(format!(
            "the pattern is empty or longer than {LONGEST_PATTERN} bytes"
        )));
    }
    RegexMatcherBuilder::new()
        .case_insensitive(query.ignore_case)
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_CACHE)
        .multi_line(true)
        // Makes `$` match before `\r\n` too; then lines end at `\n` all the same.
        .crlf(true)
        .line_terminator(Some(b'\n'))
        .build(&query.pattern)
        .map_err(|error| {
            CallError::Invalid(format!(
                "the pattern {:?} can't be used: {error}. It is a regular expression that matches \
                 within one line; put \\ before ( [ {{ . * + ? to find them as they are",
                shorten(&query.pattern, 200)
            ))
        })
}

fn searcher(query: &Query) -> Searcher {
    let context = query.context_lines.min(MOST_CONTEXT) as usize;
    SearcherBuilder::new()
        .line_number(true)
        .before_context(context)
        .after_context(context)
        .binary_detection(BinaryDetection::quit(0))
        // A line may be as long as the file.
        .heap_limit(Some(4 * LARGEST_FILE as usize))
        .build()
}

/// A file could not be searched; only how many there are is told.
struct Skipped;

/// None for what was not asked for.
fn file_of(
    folder: &Folder,
    globs: &Globs,
    entry: Result<DirEntry, ignore::Error>,
) -> Result<Option<CheckoutPath>, Skipped> {
    let entry = entry.map_err(|_| Skipped)?;
    let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
    let path = folder.path_of(&entry).ok_or(Skipped)?;
    Ok((is_file && globs.want(&path)).then_some(path))
}

fn search_file(
    folder: &Folder,
    searcher: &mut Searcher,
    matcher: &RegexMatcher,
    path: CheckoutPath,
    max_hits: usize,
) -> Result<FileHits, Skipped> {
    let (file, length) = place::open_listed(folder.directory(), &path).map_err(|_| Skipped)?;
    if length > LARGEST_FILE {
        return Err(Skipped);
    }
    let mut hits = FileHits { path, lines: Vec::new(), total: 0, max_hits, is_binary: false };
    searcher.search_file(matcher, &file.into_std(), &mut hits).map_err(|_| Skipped)?;
    if hits.is_binary { Err(Skipped) } else { Ok(hits) }
}

/// The lines of one file; a sink of grep-searcher's.
struct FileHits {
    path: CheckoutPath,
    /// Each with the number of the match that it is or belongs to, from 1.
    lines: Vec<(usize, Hit)>,
    total: usize,
    max_hits: usize,
    is_binary: bool,
}

impl FileHits {
    fn keep(&mut self, belongs_to: usize, number: Option<u64>, bytes: &[u8], matched: bool) {
        if belongs_to > self.max_hits {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let hit = Hit {
            path: self.path.clone(),
            line: number.and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX),
            text: shorten(text.trim_end_matches(['\n', '\r']), LONGEST_LINE),
            matched,
        };
        self.lines.push((belongs_to, hit));
    }
}

impl Sink for FileHits {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        self.total += 1;
        self.keep(self.total, line.line_number(), line.bytes(), true);
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        let is_before = matches!(line.kind(), SinkContextKind::Before);
        let belongs_to = self.total + usize::from(is_before);
        self.keep(belongs_to, line.line_number(), line.bytes(), false);
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.is_binary = finish.binary_byte_offset().is_some();
        Ok(())
    }
}

/// What all threads found. Keeps the first files by path that are enough for
/// `max_hits`, so that neither memory nor the answer depends on the rest.
#[derive(Default)]
struct Found {
    files: BTreeMap<CheckoutPath, FileHits>,
    kept: usize,
    total: usize,
    file_count: usize,
    skipped: usize,
}

impl Found {
    fn add(&mut self, result: Result<Option<FileHits>, Skipped>, max_hits: usize) {
        let file = match result {
            Err(Skipped) => {
                self.skipped += 1;
                return;
            }
            Ok(None) => return,
            Ok(Some(file)) if file.total == 0 => return,
            Ok(Some(file)) => file,
        };
        self.total += file.total;
        self.file_count += 1;
        self.kept += file.total;
        self.files.insert(file.path.clone(), file);
        while let Some(last) = self.files.last_entry() {
            let without_last = self.kept - last.get().total;
            if without_last < max_hits {
                break;
            }
            last.remove();
            self.kept = without_last;
        }
    }

    fn finish(self, max_hits: usize) -> Hits {
        let mut left = max_hits;
        let mut hits = Vec::new();
        for file in self.files.into_values() {
            let lines = file.lines.into_iter().filter(|(belongs_to, _)| *belongs_to <= left);
            hits.extend(lines.map(|(_, hit)| hit));
            left = left.saturating_sub(file.total);
        }
        Hits {
            hits,
            truncated: self.total > max_hits,
            total: self.total,
            files: self.file_count,
            skipped: self.skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tools::testing::{checkout, make_pipe};

    fn query(pattern: &str) -> Query {
        Query { pattern: pattern.to_owned(), max_hits: 100, ..Query::default() }
    }

    fn found(folder: &Folder, query: &Query) -> Vec<(String, u32, String)> {
        let hits = search(folder, query).unwrap().hits;
        hits.into_iter().map(|hit| (hit.path.to_string(), hit.line, hit.text)).collect()
    }

    #[test]
    fn hits_are_sorted_and_bounded() {
        let names: Vec<String> =
            (10..60).map(|number| format!("d{}/f{number}", number % 7)).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), "x\nno\nx\n")).collect();
        let (_guard, folder) = checkout(&files);
        let all = search(&folder, &query("x")).unwrap();
        assert_eq!((all.hits.len(), all.truncated, all.total, all.files), (100, false, 100, 50));
        assert!(all.hits.is_sorted_by_key(|hit| (hit.path.clone(), hit.line)));
        let few = search(&folder, &Query { max_hits: 7, ..query("x") }).unwrap();
        assert_eq!((few.hits.as_slice(), few.truncated, few.total), (&all.hits[..7], true, 100));
    }

    #[test]
    fn case_globs_context_and_line_endings() {
        let (_guard, folder) = checkout(&[("a.rs", "one\r\nTwo\r\nthree\r\n"), ("b.md", "two\n")]);
        let two = |path: &str, text: &str| {
            (path.to_owned(), if path == "a.rs" { 2 } else { 1 }, text.to_owned())
        };
        let any_case = Query { ignore_case: true, ..query("two$") };
        assert_eq!(found(&folder, &any_case), [two("a.rs", "Two"), two("b.md", "two")]);
        let in_markdown = Query { globs: vec!["*.md".to_owned()], ..any_case };
        assert_eq!(found(&folder, &in_markdown), [two("b.md", "two")]);
        let hits = search(&folder, &Query { context_lines: 1, ..query("Two") }).unwrap();
        let lines: Vec<_> = hits.hits.iter().map(|hit| (hit.text.as_str(), hit.matched)).collect();
        assert_eq!(lines, [("one", false), ("Two", true), ("three", false)]);
        assert_eq!(hits.total, 1);
        // Nothing around a hit that was cut is shown.
        let first = Query { context_lines: 1, max_hits: 1, ..query("one|three") };
        assert_eq!(found(&folder, &first).len(), 2);
    }

    #[test]
    fn hostile_files_are_passed_over() {
        let (guard, folder) = checkout(&[("a", "needle"), ("binary", "needle\0")]);
        make_pipe(&guard.path().join("pipe"));
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "needle").unwrap();
        symlink(outside.path(), guard.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), guard.path().join("link")).unwrap();
        let huge = fs::File::create(guard.path().join("huge")).unwrap();
        huge.set_len(LARGEST_FILE + 1).unwrap();
        fs::write(guard.path().join("long"), format!("{}needle", "ä".repeat(100_000))).unwrap();
        let hits = search(&folder, &query("needle")).unwrap();
        let paths: Vec<_> = hits.hits.iter().map(|hit| hit.path.as_str()).collect();
        assert_eq!((paths, hits.skipped), (vec!["a", "long"], 2));
        assert!(hits.hits[1].text.len() < 2 * LONGEST_LINE + 100);
    }

    #[test]
    fn patterns_that_cannot_be_are_refused() {
        let (_guard, folder) = checkout(&[("a", "x")]);
        let long = "x".repeat(LONGEST_PATTERN + 1);
        for pattern in ["", "(", "a\nb", r"(\w{100}){100}", "((a{100}){100}){100}", &long] {
            let error = search(&folder, &query(pattern)).unwrap_err();
            assert!(matches!(error, CallError::Invalid(_)), "{pattern}: {error}");
            assert!(error.to_string().len() < 1000, "{error}");
        }
    }

    #[test]
    fn only_what_can_be_shown_is_kept() {
        let mut found = Found::default();
        for name in ["e", "a", "d", "b", "c"] {
            let path = CheckoutPath::parse(name).unwrap();
            let file =
                FileHits { path, lines: Vec::new(), total: 3, max_hits: 4, is_binary: false };
            found.add(Ok(Some(file)), 4);
        }
        let kept: Vec<_> = found.files.keys().map(CheckoutPath::as_str).collect();
        assert_eq!((kept, found.kept, found.total), (vec!["a", "b"], 6, 15));
    }
}
