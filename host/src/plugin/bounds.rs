//! How much of what a role returns is kept. These texts go into the database,
//! the events and other roles' briefs: one role that talks without end must
//! not cost the others their memory or their context. What is cut says so.

use crate::types::{CallError, Domain, DomainPlan, ProjectPlan, Report, TaskDraft, Verdict};

/// Bytes of a name or a title; the commit's first line is made of it.
const NAME: usize = 200;
/// Bytes of a longer text.
const TEXT: usize = 16 * 1024;
/// Entries of a list of notes, paths or globs.
const ENTRIES: usize = 100;
/// Bytes of such an entry.
const ENTRY: usize = 1024;

/// What stands where something was cut.
const CUT: &str = " [cut]";

/// A role's answer that knows how to shorten itself.
pub(super) trait Bounded {
    /// The same, cut to what is kept of it.
    fn bounded(self) -> Self;
}

impl Bounded for () {
    fn bounded(self) -> Self {}
}

impl Bounded for ProjectPlan {
    fn bounded(self) -> Self {
        Self { overview: cut(self.overview, TEXT), domains: each(self.domains) }
    }
}

impl Bounded for DomainPlan {
    fn bounded(self) -> Self {
        Self {
            summary: cut(self.summary, TEXT),
            tasks: each(self.tasks),
            domains: each(self.domains),
        }
    }
}

impl Bounded for Domain {
    fn bounded(self) -> Self {
        Self {
            name: line(&self.name),
            description: cut(self.description, TEXT),
            file_patterns: entries(self.file_patterns),
        }
    }
}

impl Bounded for TaskDraft {
    fn bounded(self) -> Self {
        Self {
            title: line(&self.title),
            description: cut(self.description, TEXT),
            priority: self.priority,
            file_paths: entries(self.file_paths),
        }
    }
}

impl Bounded for Report {
    fn bounded(self) -> Self {
        Self { success: self.success, summary: cut(self.summary, TEXT), notes: entries(self.notes) }
    }
}

impl Bounded for Verdict {
    fn bounded(self) -> Self {
        Self { reasoning: cut(self.reasoning, TEXT), ..self }
    }
}

impl Bounded for CallError {
    fn bounded(self) -> Self {
        match self {
            Self::Denied(text) => Self::Denied(cut(text, TEXT)),
            Self::NotFound(text) => Self::NotFound(cut(text, TEXT)),
            Self::Invalid(text) => Self::Invalid(cut(text, TEXT)),
            Self::Conflict(text) => Self::Conflict(cut(text, TEXT)),
            Self::Unavailable(text) => Self::Unavailable(cut(text, TEXT)),
            Self::Exhausted(text) => Self::Exhausted(cut(text, TEXT)),
            Self::TooLong(text) => Self::TooLong(cut(text, TEXT)),
        }
    }
}

/// The same for why a call ended.
pub(super) fn cut_reason(reason: String) -> String {
    cut(reason, ENTRY)
}

/// How many tasks and domains a plan may have says the cycle.
fn each<T: Bounded>(list: Vec<T>) -> Vec<T> {
    list.into_iter().map(Bounded::bounded).collect()
}

fn entries(mut list: Vec<String>) -> Vec<String> {
    list.truncate(ENTRIES);
    list.into_iter().map(|entry| cut(entry, ENTRY)).collect()
}

fn line(text: &str) -> String {
    cut(text.split_whitespace().collect::<Vec<_>>().join(" "), NAME)
}

fn cut(mut text: String, longest: usize) -> String {
    if text.len() <= longest {
        return text;
    }
    text.truncate(text.floor_char_boundary(longest - CUT.len()));
    text.push_str(CUT);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Priority;

    #[test]
    fn what_is_short_stays_and_what_is_long_says_that_it_was_cut() {
        let draft = |title: &str, description: &str, paths: usize| TaskDraft {
            title: title.to_owned(),
            description: description.to_owned(),
            priority: Priority::Low,
            file_paths: vec!["a".to_owned(); paths],
        };
        assert_eq!(draft("Add x", "Do\nit.", 2).bounded(), draft("Add x", "Do\nit.", 2));
        let long = draft(&"ä \n".repeat(200), &"ä".repeat(20_000), 500).bounded();
        assert!(
            long.title.len() <= NAME && long.title.ends_with(CUT) && !long.title.contains('\n')
        );
        assert!(long.description.len() <= TEXT && long.description.ends_with(CUT));
        assert_eq!(long.file_paths.len(), ENTRIES);
    }
}
