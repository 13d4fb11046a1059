//! Text on its way to a person's terminal: cleaned, clipped, in columns.

use std::io::{self, Write};

use crate::{Error, Result};

/// Characters of a commit's or an agent's id that tell it apart for a person.
const SHORT_ID: usize = 10;
/// Between columns.
const GAP: &str = "  ";

/// Models write these texts: nothing of them may steer the terminal, and they
/// stay one line.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The same for texts of many lines: line ends and tabs stay.
pub(super) fn printable_lines(text: &str) -> String {
    let stays = |letter: char| matches!(letter, '\n' | '\t') || !letter.is_control();
    text.chars().map(|letter| if stays(letter) { letter } else { ' ' }).collect()
}

/// The text, printable, its lines set in by two columns.
pub(super) fn indented(text: &str) -> String {
    let lines = printable_lines(text.trim_end());
    let set_in = |line: &str| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    };
    lines.lines().map(set_in).collect()
}

/// The text's first `longest` characters.
pub(super) fn clip(text: &str, longest: usize) -> String {
    let mut clipped: String = text.chars().take(longest).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

/// The beginning of an id.
pub(super) fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// The time of day in an RFC 3339 time.
pub(super) fn time_of_day(time: &str) -> &str {
    time.get(11..19).unwrap_or(time)
}

/// Date and time of an RFC 3339 time, to the second.
pub(super) fn to_the_second(time: &str) -> String {
    printable(&time.get(..19).unwrap_or(time).replace('T', " "))
}

/// A table whose last column is as wide as it likes. Everything in it becomes
/// printable.
pub(super) fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let head = head.map(str::to_owned);
    let mut widths = [0; COLUMNS];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{:<width$}", printable(cell)))
            .collect();
        text.push_str(cells.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// Writes a result to stdout. That its reader has seen enough is no failure.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::failed(format!("can't write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}1mb\r\nc\td\u{7}";
        assert_eq!(printable(hostile), "a [2J 1mb  c d ");
        assert_eq!(printable_lines(hostile), "a [2J 1mb \nc\td ");
        assert_eq!(indented("a\n\n\u{1b}b\n"), "  a\n\n   b\n");
        let shown = table(["id", "title"], &[["x\u{1b}y".into(), "new\nline".into()]]);
        assert_eq!(shown, "id   title\nx y  new line\n");
        assert_eq!((clip("äöü", 2), clip("äö", 2)), ("äö…".to_owned(), "äö".to_owned()));
    }
}
