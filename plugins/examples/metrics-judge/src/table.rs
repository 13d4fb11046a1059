//! Tells a survey as Markdown. Owns the form; the figures are not its business.

use std::cmp::Reverse;
use std::fmt::Write as _;

use crate::metrics::{FileMetrics, Totals};
use crate::survey::{Changed, Survey};

/// So many files are named, and so many comments quoted.
const MOST_ENTRIES: usize = 8;

/// What a figure is called, and where it stands.
type Measure = (&'static str, fn(&Totals) -> usize);

const MEASURES: [Measure; 6] = [
    ("Source files", |totals| totals.files),
    ("Lines", |totals| totals.lines),
    ("Lines of code", |totals| totals.code_lines),
    ("Decisions (branches, loops, cases, and/or)", |totals| totals.decisions),
    ("Duplicated lines of code", |totals| totals.duplicated),
    ("TODO, FIXME, XXX, HACK", |totals| totals.marks),
];

/// The whole, with a heading.
pub fn markdown(survey: &Survey) -> String {
    let mut text = "## Code metrics, before and after the cycle\n\n\
                    | Measure | Before | After | Change |\n| --- | ---: | ---: | ---: |\n"
        .to_owned();
    for (name, of) in MEASURES {
        let after = of(&survey.after);
        let before = survey.before.as_ref().map(of);
        let change = before.map_or_else(|| "?".to_owned(), |before| change(before, after));
        let before = before.map_or_else(|| "?".to_owned(), |before| before.to_string());
        // Writing into a String does not fail.
        let _ = writeln!(text, "| {name} | {before} | {after} | {change} |");
    }
    text.push_str(&grown(&survey.changed));
    text.push_str(&new_marks(&survey.changed));
    for gap in &survey.gaps {
        let _ = write!(text, "\n{gap}\n");
    }
    text
}

/// The files that have more decisions than before, those that grew most first.
fn grown(changed: &[Changed]) -> String {
    let decisions = |file: &Option<FileMetrics>| file.as_ref().map_or(0, |file| file.decisions);
    let mut files: Vec<_> = changed
        .iter()
        .map(|file| (decisions(&file.before), decisions(&file.after), file))
        .filter(|(before, after, _)| after > before)
        .collect();
    files.sort_by_key(|(before, after, file)| (Reverse(after - before), &file.path));
    let line = |(before, after, file): &(usize, usize, &Changed)| {
        let lines = |file: &Option<FileMetrics>| file.as_ref().map_or(0, |file| file.code_lines);
        format!(
            "- `{}`: {before} decisions before, {after} after; {} lines of code before, {} after\n",
            file.path,
            lines(&file.before),
            lines(&file.after)
        )
    };
    list("Files with more decisions than before", files.iter().map(line).collect())
}

/// The comments about what is left to do that were not there before.
fn new_marks(changed: &[Changed]) -> String {
    let mut lines = Vec::new();
    for file in changed {
        let mut old: Vec<&String> =
            file.before.iter().flat_map(|file| &file.marks).map(|(_, mark)| mark).collect();
        for (line, mark) in file.after.iter().flat_map(|file| &file.marks) {
            if let Some(known) = old.iter().position(|old| *old == mark) {
                old.swap_remove(known);
                continue;
            }
            lines.push(format!("- `{}:{line}`: {mark}\n", file.path));
        }
    }
    list("New comments about what is left to do", lines)
}

fn list(heading: &str, lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let more = match lines.len().saturating_sub(MOST_ENTRIES) {
        0 => String::new(),
        more => format!("- and {more} more\n"),
    };
    let shown: String = lines.into_iter().take(MOST_ENTRIES).collect();
    format!("\n{heading}:\n\n{shown}{more}")
}

fn change(before: usize, after: usize) -> String {
    let sign = match after.cmp(&before) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => "",
        std::cmp::Ordering::Greater => "+",
    };
    format!("{sign}{}", before.abs_diff(after))
}
