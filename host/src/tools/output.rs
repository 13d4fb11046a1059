//! Bounded text for models. Knows nothing of what the text is about.

/// In bytes: about what an output may hold, before the line that says what was
/// cut.
pub const LONGEST_OUTPUT: usize = 50_000;
/// In characters: longer lines are cut.
pub const LONGEST_LINE: usize = 500;

/// Lines, as many as fit.
#[derive(Debug, Default)]
pub struct Output {
    text: String,
}

impl Output {
    /// Adds a line, or says false where it does not fit any more. The first
    /// always fits.
    pub fn push(&mut self, line: &str) -> bool {
        if !self.text.is_empty() && self.text.len() + line.len() >= LONGEST_OUTPUT {
            return false;
        }
        self.text.push_str(line);
        self.text.push('\n');
        true
    }

    /// The text, with a last line that says what was cut, if anything.
    pub fn finish(mut self, last_line: &str) -> String {
        self.text.push_str(last_line);
        self.text.truncate(self.text.trim_end_matches('\n').len());
        self.text
    }
}

/// The line, or its start and how much more there is.
pub fn shorten(line: &str, most_characters: usize) -> String {
    match line.char_indices().nth(most_characters) {
        None => line.to_owned(),
        Some((end, _)) => {
            let (start, rest) = line.split_at(end);
            format!("{start} … ({} more characters)", rest.chars().count())
        }
    }
}
