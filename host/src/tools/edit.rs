//! Replaces one place in a text file, and says where to look where that place
//! is not found or not the only one.

use super::files::{self, Text};
use super::output::shorten;
use super::place::WriteArea;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// At most so many places are named where the text stands more than once.
const MOST_PLACES: usize = 20;
/// At most so many lines of a near miss are compared and shown.
const MOST_LINES: usize = 12;
/// In characters: what counts of a line when near misses are compared.
const LONGEST_COMPARED: usize = 120;
/// The comparison letter by letter stops after so many lines of the file.
const MOST_COMPARED: usize = 5000;
/// Lines less alike than this (from 0 to 1) are no near miss.
const LEAST_LIKENESS: f64 = 0.5;

/// Replaces the one place where `old` stands by `new`, and returns the number
/// of the line that it begins in. The file's line endings are kept, and so is
/// a missing last one.
pub fn edit(
    area: WriteArea<'_>,
    path: &CheckoutPath,
    old: &str,
    new: &str,
) -> Result<usize, CallError> {
    if old.is_empty() {
        return Err(CallError::Invalid(
            "the old text is empty; write the whole file instead".into(),
        ));
    }
    if old == new {
        return Err(CallError::Invalid("the old and the new text are the same".to_owned()));
    }
    // Refused before anything of the file is shown in a near miss.
    area.file(path)?;
    let Text { content, lossy } = files::read_text(area.folder, path)?;
    if lossy {
        return Err(CallError::Invalid(format!(
            "{path} is not UTF-8; an edit would damage it. Change it with a command"
        )));
    }
    let (line, edited) = replace(path, content, old, new)?;
    files::write(area, path, edited.as_bytes(), None)?;
    Ok(line)
}

fn replace(
    path: &CheckoutPath,
    mut text: String,
    old: &str,
    new: &str,
) -> Result<(usize, String), CallError> {
    let ending = if uses_crlf(&text) { "\r\n" } else { "\n" };
    let lacks_last = !text.is_empty() && !text.ends_with('\n');
    if lacks_last {
        text.push_str(ending);
    }
    for (old, new) in spellings(ending, old, new) {
        let places = places(&text, &old);
        let Some(&start) = places.first() else { continue };
        if places.len() > 1 {
            return Err(several(path, &text, &places));
        }
        let line = line_at(&text, start);
        text.replace_range(start..start + old.len(), &new);
        if lacks_last && text.ends_with(ending) {
            text.truncate(text.len() - ending.len());
        }
        return Ok((line, text));
    }
    Err(missed(path, &text, old))
}

/// Whether most lines end so.
fn uses_crlf(text: &str) -> bool {
    text.matches("\r\n").count() * 2 > text.matches('\n').count()
}

/// The ways to write old and new in the file's line endings, the likeliest
/// first. Models write `\n`; a file may hold both.
fn spellings(ending: &str, old: &str, new: &str) -> [(String, String); 2] {
    let as_given = (old.to_owned(), new.to_owned());
    let crlf = |text: &str| text.replace("\r\n", "\n").replace('\n', "\r\n");
    let with_crlf = (crlf(old), crlf(new));
    if ending == "\r\n" { [with_crlf, as_given] } else { [as_given, with_crlf] }
}

/// Where `old` begins, places that overlap included.
fn places(text: &str, old: &str) -> Vec<usize> {
    let step = old.chars().next().map_or(1, char::len_utf8);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(old)) {
        places.push(from + found);
        from += found + step;
        if places.len() > MOST_PLACES {
            break;
        }
    }
    places
}

/// The number of the line, counted from 1, that the byte lies in.
fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|&byte| byte == b'\n').count() + 1
}

fn several(path: &CheckoutPath, text: &str, places: &[usize]) -> CallError {
    let mut lines: Vec<String> =
        places.iter().take(MOST_PLACES).map(|&place| line_at(text, place).to_string()).collect();
    if places.len() > MOST_PLACES {
        lines.push("…".to_owned());
    }
    CallError::Invalid(format!(
        "the old text stands in {path} more than once, in lines {}; add lines around it until it \
         is the only one",
        lines.join(", ")
    ))
}

fn missed(path: &CheckoutPath, text: &str, old: &str) -> CallError {
    let lines: Vec<&str> = text.lines().collect();
    let wanted: Vec<&str> = old.lines().take(MOST_LINES).collect();
    let Some(start) = nearest(&lines, &wanted) else {
        return CallError::Invalid(format!(
            "the old text does not stand in {path}, nor anything like it; read the file again"
        ));
    };
    let shown: Vec<String> = lines
        .iter()
        .enumerate()
        .skip(start)
        .take(wanted.len())
        .map(|(index, line)| format!("{:5}\t{}", index + 1, shorten(line, 200)))
        .collect();
    CallError::Invalid(format!(
        "the old text does not stand in {path}. The nearest lines are:\n{}\nCopy what follows the \
         tab exactly, indentation included",
        shown.join("\n")
    ))
}

/// The index of the line from which most lines are those that were wanted,
/// but for white space; failing that, the line most like the first of them.
fn nearest(lines: &[&str], wanted: &[&str]) -> Option<usize> {
    let wanted: Vec<&str> = wanted.iter().map(|line| line.trim()).collect();
    let score = |start: usize| {
        let pairs = lines.iter().skip(start).zip(&wanted);
        pairs.filter(|(line, wanted)| !wanted.is_empty() && line.trim() == **wanted).count()
    };
    // Of equal ones the first.
    let best = (0..lines.len()).rev().max_by_key(|&start| score(start))?;
    if score(best) > 0 {
        return Some(best);
    }
    let first = wanted.iter().find(|line| !line.is_empty())?;
    let start_of = |line: &str| line.trim().chars().take(LONGEST_COMPARED).collect::<String>();
    let first = start_of(first);
    let likeness = |line: &&str| strsim::normalized_levenshtein(&start_of(line), &first);
    let compared = lines.iter().take(MOST_COMPARED).map(likeness).enumerate();
    let (index, likeness) = compared.max_by(|one, other| one.1.total_cmp(&other.1))?;
    (likeness >= LEAST_LIKENESS).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tools::testing::{checkout, path};

    fn edited(content: &str, old: &str, new: &str) -> Result<String, String> {
        let (guard, folder) = checkout(&[("f", content)]);
        let area =
            WriteArea { folder: &folder, root: &CheckoutPath::top(), keeper: None, witness: None };
        edit(area, &path("f"), old, new).map_err(|error| error.to_string())?;
        Ok(fs::read_to_string(guard.path().join("f")).unwrap())
    }

    #[test]
    fn the_one_place_is_replaced() {
        assert_eq!(edited("a\nb\nc\n", "b\n", "x\ny\n").unwrap(), "a\nx\ny\nc\n");
        assert_eq!(edited("äöü", "ö", "").unwrap(), "äü");
    }

    #[test]
    fn line_endings_are_kept() {
        assert_eq!(edited("a\r\nb\r\nc\r\n", "a\nb", "x\ny").unwrap(), "x\r\ny\r\nc\r\n");
        assert_eq!(edited("a\r\nb\r\n", "a", "x\ny").unwrap(), "x\r\ny\r\nb\r\n");
        assert_eq!(edited("a\r\nb\nc\nd\n", "a\nb", "x\ny").unwrap(), "x\r\ny\nc\nd\n");
        assert_eq!(edited("a\nb", "b\n", "c\n").unwrap(), "a\nc");
        assert_eq!(edited("a\r\nb", "b\n", "c\nd\n").unwrap(), "a\r\nc\r\nd");
        assert_eq!(edited("a\nb", "b", "c\n").unwrap(), "a\nc\n");
        assert_eq!(edited("a\nb", "a", "c").unwrap(), "c\nb");
    }

    #[test]
    fn several_places_are_named() {
        let error = edited("x\ny\nx\n", "x", "z").unwrap_err();
        assert!(error.contains("in lines 1, 3;"), "{error}");
        // Overlapping ones count: which of them was meant can't be known.
        assert!(edited("aaa", "aa", "b").unwrap_err().contains("in lines 1, 1;"));
        let error = edited(&"x\n".repeat(50), "x", "z").unwrap_err();
        assert!(error.contains("20, …;"), "{error}");
    }

    #[test]
    fn a_miss_shows_the_nearest_lines() {
        let text = "fn one() {\n    let a = 1;\n}\nfn two() {\n\tlet b = 2;\n}\n";
        let error = edited(text, "fn two() {\n    let b = 2;\n}", "").unwrap_err();
        assert!(error.contains("    4\tfn two() {\n    5\t\tlet b = 2;\n    6\t}"), "{error}");
        let error = edited(text, "let bb = 2;", "").unwrap_err();
        assert!(error.contains("    5\t\tlet b = 2;"), "{error}");
        let error = edited(text, "nothing of the sort in here", "").unwrap_err();
        assert!(error.contains("nor anything like it"), "{error}");
        assert!(edited("", "a", "b").unwrap_err().contains("nor anything like it"));
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        assert!(edited("a", "", "b").unwrap_err().contains("empty"));
        assert!(edited("a", "a", "a").unwrap_err().contains("the same"));
        assert!(edited("a\0b", "a", "b").unwrap_err().contains("binary"));
        let (guard, folder) = checkout(&[("f", ""), ("in/x", "")]);
        fs::write(guard.path().join("f"), b"caf\xe9 a").unwrap();
        let attempt = |root: &str| {
            let area =
                WriteArea { folder: &folder, root: &path(root), keeper: None, witness: None };
            edit(area, &path("f"), "a", "b").unwrap_err()
        };
        let error = attempt("");
        assert!(error.to_string().contains("not UTF-8"), "{error}");
        let error = attempt("in");
        assert!(matches!(error, CallError::Denied(_)), "{error}");
        assert_eq!(fs::read(guard.path().join("f")).unwrap(), b"caf\xe9 a");
    }
}
