//! What is measured: of one file, and of all. Owns the measures, which are
//! estimates by lines and words and the same for before and after; where the
//! files come from is not its business.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::language::Language;
use crate::lexing::{self, Line};

/// So many lines of code in a row that stand elsewhere too are duplicated: fewer
/// are alike by chance.
const WINDOW: usize = 6;
/// Words by which people mark what is left to do.
const MARKS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
/// In characters: a longer comment is cut.
const LONGEST_MARK: usize = 120;

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMetrics {
    pub lines: usize,
    /// Lines that hold more than space and comments.
    pub code_lines: usize,
    /// Places where the program may go one way or another.
    pub decisions: usize,
    /// Comments about what is left to do: the line's number, and what it says.
    pub marks: Vec<(usize, String)>,
    /// A fingerprint of each `WINDOW` lines of code in a row, the same for the same
    /// code. It is made once, here: the totals of before and after look at it often.
    windows: Vec<u64>,
}

/// All files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub files: usize,
    pub lines: usize,
    pub code_lines: usize,
    pub decisions: usize,
    pub marks: usize,
    pub duplicated: usize,
}

/// Measures one file.
pub fn measure(text: &str, language: &Language) -> FileMetrics {
    let mut metrics = FileMetrics::default();
    let mut fingerprints = Vec::new();
    for (index, line) in lexing::lines(text, language).iter().enumerate() {
        metrics.lines += 1;
        if !line.code.trim().is_empty() {
            metrics.code_lines += 1;
            metrics.decisions += decisions(&line.code, language);
            // Space does not count: code that moved into a block is the same code.
            fingerprints.push(fingerprint(line.code.split_whitespace()));
        }
        metrics.marks.extend(mark(line).map(|mark| (index + 1, mark)));
    }
    // They are kept for as long as the judge works: this list has nothing in reserve,
    // which would be as much again.
    metrics.windows =
        fingerprints.windows(WINDOW).map(|window| fingerprint(window.iter())).collect();
    metrics
}

/// Adds up, and looks for what stands twice.
pub fn total<'a>(files: impl Iterator<Item = &'a FileMetrics> + Clone) -> Totals {
    let mut totals = Totals { duplicated: duplicated(files.clone()), ..Totals::default() };
    for file in files {
        totals.files += 1;
        totals.lines += file.lines;
        totals.code_lines += file.code_lines;
        totals.decisions += file.decisions;
        totals.marks += file.marks.len();
    }
    totals
}

/// How many lines of code stand in more than one place, with their neighbours.
fn duplicated<'a>(files: impl Iterator<Item = &'a FileMetrics> + Clone) -> usize {
    let twice = windows_that_stand_twice(files.clone());
    let mut lines = 0;
    for file in files {
        // The line up to which all have been counted.
        let mut counted = 0;
        for (start, window) in file.windows.iter().enumerate() {
            if twice.binary_search(window).is_ok() {
                lines += start + WINDOW - counted.max(start);
                counted = start + WINDOW;
            }
        }
    }
    lines
}

/// Those windows of all files that are there more than once, each one time, in order.
/// In a large repository there are millions of windows, and a list takes them in a
/// fraction of the memory that a map needs while it grows.
fn windows_that_stand_twice<'a>(files: impl Iterator<Item = &'a FileMetrics> + Clone) -> Vec<u64> {
    let count = files.clone().map(|file| file.windows.len()).sum();
    let mut windows = Vec::with_capacity(count);
    windows.extend(files.flat_map(|file| file.windows.iter().copied()));
    windows.sort_unstable();
    let alike = windows.chunk_by(u64::eq).filter(|alike| alike.len() > 1);
    alike.filter_map(|alike| alike.first().copied()).collect()
}

fn decisions(code: &str, language: &Language) -> usize {
    let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let words = words.filter(|word| language.decisions.contains(word)).count();
    let operators = language.operators.iter().map(|operator| code.matches(operator).count());
    words + operators.sum::<usize>()
}

fn mark(line: &Line) -> Option<String> {
    let mut words = line.comment.split(|letter: char| !letter.is_alphanumeric());
    let is_mark = words.any(|word| MARKS.contains(&word));
    is_mark.then(|| line.comment.trim().chars().take(LONGEST_MARK).collect())
}

fn fingerprint<T: Hash>(parts: impl Iterator<Item = T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.for_each(|part| part.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;

    fn of(path: &str, text: &str) -> FileMetrics {
        measure(text, language::of(path).unwrap())
    }

    #[test]
    fn a_file_is_measured() {
        let text = "// TODO: more\nfn f(x: u32) -> u32 {\n\n    // if\n    if x > 1 && x < 9 {\n        \
                    match x { 2 => 1, _ => 0 }\n    } else { x }\n}\n";
        let metrics = of("a.rs", text);
        assert_eq!((metrics.lines, metrics.code_lines, metrics.decisions), (8, 5, 4));
        assert_eq!(metrics.marks, [(1, "TODO: more".to_owned())]);
        let metrics = of("a.py", "for a in b:\n    x = a if c or d else 'if'  # XXXL\n");
        assert_eq!((metrics.code_lines, metrics.decisions, metrics.marks.len()), (2, 3, 0));
    }

    #[test]
    fn lines_that_stand_twice_are_counted_wherever_they_stand() {
        let block: String = (0..8).map(|n| format!("step_{n}();\n")).collect();
        let indented = block.replace("step", "   step");
        let one = of("a.c", &format!("a();\n{block}b();\n"));
        let other = of("b.c", &format!("// c\nd();\n{indented}"));
        let short =
            of("c.c", &block.lines().take(5).map(|line| format!("{line}\n")).collect::<String>());
        assert_eq!(total([&one, &short].into_iter()).duplicated, 0);
        let totals = total([&one, &other, &short].into_iter());
        assert_eq!((totals.files, totals.duplicated, totals.code_lines), (3, 16, 24));
    }
}
