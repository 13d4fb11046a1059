//! One list of what all checkers have found, as text. Owns the order, the form
//! and the bounds.

use crate::checkers::Name;
use crate::detection::Used;
use crate::reading::{Finding, Severity};
use crate::running::Ran;

/// In bytes: what the list may take. The host cuts at 50,000 by default.
const LONGEST: usize = 36_000;
/// In characters: a longer message is cut.
const LONGEST_MESSAGE: usize = 400;

/// What is found, and a line for each checker that was run.
#[derive(Default)]
pub struct Report {
    summaries: Vec<String>,
    findings: Vec<(Finding, Name)>,
}

impl Report {
    /// Takes in what came of one checker.
    pub fn add(&mut self, used: &Used, ran: &Ran) {
        let checker = used.checker;
        let folder = if used.folder.is_empty() { "." } else { &used.folder };
        let told = match ran {
            Ran::Missing => format!(
                "not run: `{}` is not installed where commands can see it, though {} asks for it",
                checker.program, used.because
            ),
            Ran::TimedOut => "not done in time; ask for fewer checkers or more seconds".to_owned(),
            Ran::Ended { code, output, cut, errors, top } => {
                let mut found = (checker.read)(output);
                // What a library and its tests share is checked twice.
                found.sort();
                found.dedup();
                let mut told = counted(&found);
                if found.is_empty() && *code != 0 {
                    let said = if errors.is_empty() { output } else { errors };
                    told = format!("failed with exit code {code}: {}", end_of(said));
                }
                if *cut {
                    told.push_str("; its output is longer than 2 MiB, the rest was not read");
                }
                let place = |finding| relative(finding, &used.folder, top);
                self.findings.extend(found.into_iter().map(place).map(|one| (one, checker.name)));
                told
            }
        };
        self.summaries.push(format!("{} in {folder}: {told}", checker.name.text()));
    }

    /// Tells of one that was not run, because there are too many.
    pub fn skip(&mut self, used: &Used) {
        let (name, folder) = (used.checker.name.text(), &used.folder);
        self.summaries.push(format!("{name} in {folder}: not run, there are too many: name paths"));
    }

    /// The text. With `paths` only what lies in these files and folders is told.
    pub fn finish(mut self, paths: &[String]) -> String {
        self.findings.sort();
        let mut text = self.summaries.join("\n") + "\n\n";
        let wanted = |finding: &Finding| finding.path.is_empty() || is_in(&finding.path, paths);
        let told: Vec<_> = self.findings.iter().filter(|(finding, _)| wanted(finding)).collect();
        let mut left = told.len();
        for (finding, checker) in &told {
            let line = line(finding, *checker);
            if text.len() + line.len() > LONGEST {
                break;
            }
            text.push_str(&line);
            left -= 1;
        }
        match (told.len(), left) {
            (0, _) => text.push_str("Nothing was found.\n"),
            (_, 0) => {}
            _ => text.push_str(&format!("[{left} more are left out: name paths or checkers]\n")),
        }
        text
    }
}

/// `src/a.rs:3:9: error: clippy::x: message [cargo]`
fn line(finding: &Finding, checker: Name) -> String {
    let Finding { severity, path, line, column, rule, message } = finding;
    let mut place = if path.is_empty() { "(no file)" } else { path }.to_owned();
    for number in [line, column].into_iter().filter(|number| **number > 0) {
        place.push_str(&format!(":{number}"));
    }
    let rule = if rule.is_empty() { String::new() } else { format!(" {rule}:") };
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = message.char_indices().nth(LONGEST_MESSAGE).map_or(message.len(), |(end, _)| end);
    let message = message.get(..end).unwrap_or_default();
    format!("{place}: {}:{rule} {message} [{}]\n", severity.word(), checker.text())
}

fn counted(found: &[Finding]) -> String {
    let count = |severity| found.iter().filter(|finding| finding.severity == severity).count();
    let [errors, warnings, notes] = [Severity::Error, Severity::Warning, Severity::Note].map(count);
    format!("errors: {errors}, warnings: {warnings}, notes: {notes}")
}

/// The path relative to the repository's top, whatever the checker wrote.
fn relative(finding: Finding, folder: &str, top: &str) -> Finding {
    let path = finding.path.trim_start_matches("./");
    let path = match path.strip_prefix(top).map(|rest| rest.trim_start_matches('/')) {
        Some(inside) => inside.to_owned(),
        // Cargo's own registry and the like keep their absolute path.
        None if path.starts_with('/') || path.is_empty() || folder.is_empty() => path.to_owned(),
        None => format!("{folder}/{path}"),
    };
    Finding { path, ..finding }
}

/// Whether a file or folder is one of those, or in one of them. Without any,
/// every one is.
pub fn is_in(path: &str, wanted: &[String]) -> bool {
    let path = path.trim_start_matches("./");
    let within = |wanted: &String| {
        let wanted = wanted.trim_start_matches("./").trim_end_matches('/');
        let rest = path.strip_prefix(wanted);
        matches!(wanted, "" | ".")
            || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    wanted.is_empty() || wanted.iter().any(within)
}

/// The end is where programs say what went wrong.
fn end_of(text: &str) -> &str {
    let text = text.trim();
    text.get(text.ceil_char_boundary(text.len().saturating_sub(1_000))..).unwrap_or_default()
}
