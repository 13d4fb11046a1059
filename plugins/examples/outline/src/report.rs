//! What a model is told: lines of text, as many as fit. Owns the form and the
//! bounds; knows nothing of where files come from.

use crate::symbols::{Source, Symbol};

/// In bytes: what an answer may hold, before its last line. The host cuts at
/// 50,000 by default.
const LONGEST: usize = 40_000;

/// Lines, and how many did not fit.
#[derive(Default)]
pub struct Report {
    text: String,
    left_out: usize,
}

impl Report {
    /// Adds a line, if it fits.
    pub fn line(&mut self, line: &str) {
        if self.is_full() || self.text.len() + line.len() >= LONGEST {
            self.left_out += 1;
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Whether lines were left out; none is taken any more then, so that what is
    /// there has no holes.
    pub fn is_full(&self) -> bool {
        self.left_out > 0
    }

    /// The text. `nothing` is the answer where there is none; `narrower` says
    /// how to ask for less.
    pub fn finish(self, nothing: &str, narrower: &str) -> String {
        if self.text.is_empty() {
            return nothing.to_owned();
        }
        match self.left_out {
            0 => self.text,
            lines => {
                format!("{}[{lines} more lines or files are left out: {narrower}]\n", self.text)
            }
        }
    }
}

/// The functions and types of a file, with their lines.
pub fn outline(report: &mut Report, source: &Source) {
    let symbols = source.symbols();
    let lines = source.text.lines().count();
    let errors = if source.has_errors() { "; parts of it can't be parsed" } else { "" };
    report.line(&format!("{} ({}, {lines} lines{errors})", source.path, source.language.name));
    for symbol in symbols.iter().filter(|symbol| symbol.shown) {
        let indent = "  ".repeat(symbol.depth + 1);
        report.line(&format!("{indent}{}: {}", range(symbol), symbol.signature));
    }
}

/// The definitions in a file that are called so; see `Symbol::is_called`.
pub fn definitions(report: &mut Report, source: &Source, wanted: &[&str]) {
    for symbol in source.symbols().iter().filter(|symbol| symbol.is_called(wanted)) {
        let name = symbol.full_name(source.language.separator);
        let place = format!("{}:{}", source.path, range(symbol));
        report.line(&format!("{place}: {} {name}\n    {}", symbol.kind, symbol.signature));
    }
}

/// The lines of a file where the name stands in code. Returns how many times it
/// does.
pub fn references(report: &mut Report, source: &Source, name: &str) -> usize {
    let uses = source.uses(name, &source.symbols());
    if !uses.is_empty() {
        report.line(&source.path);
    }
    let mut last = None;
    for used in &uses {
        // Twice on a line is one line to read.
        if last.replace(used.line) == Some(used.line) {
            continue;
        }
        let role = if used.defines { "defined" } else { "used" };
        let inside = used.inside.as_ref().map(|inside| format!(" in {inside}")).unwrap_or_default();
        report.line(&format!("  {}: {role}{inside}: {}", used.line, used.text));
    }
    uses.len()
}

fn range(symbol: &Symbol) -> String {
    match symbol.lines {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}
