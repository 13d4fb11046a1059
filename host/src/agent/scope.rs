//! Which new files belong to a task's work: those that its `file_paths` cover,
//! and those that its worker has named. What tools wrote the checkout knows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::repo::path::CheckoutPath;
use crate::tools::globs::Globs;
use crate::types::{CallError, TaskDraft};

/// More names than this in one attempt are a list of junk.
const MOST_NAMES: usize = 1000;
/// What covers all of these covers everything.
const ANYTHING: [&str; 3] = ["a/a", "Z9.z/9", "_-/\u{e9}"];

/// Files by their path, their folder's or a glob, relative to the repository's
/// top.
#[derive(Debug)]
struct Name {
    /// A name may be a path although it looks like a glob: `app/[id]/page.tsx`.
    path: Option<CheckoutPath>,
    glob: Option<Globs>,
}

impl Name {
    fn parse(name: &str) -> Result<Self, CallError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(CallError::Invalid("the name of a file is empty".into()));
        }
        let path = CheckoutPath::parse(name);
        if !name.contains(['*', '?', '[', '{']) {
            return path.map(|path| Self { path: Some(path), glob: None });
        }
        let from_top = format!("/{}", name.trim_start_matches("./"));
        Ok(Self { path: path.ok(), glob: Some(Globs::parse(&[from_top])?) })
    }

    fn covers(&self, path: &CheckoutPath) -> bool {
        self.path.as_ref().is_some_and(|name| path.is_within(name))
            || self.glob.as_ref().is_some_and(|glob| glob.want(path))
    }

    fn covers_all(&self) -> bool {
        let mut paths = ANYTHING.iter().filter_map(|path| CheckoutPath::parse(path).ok());
        paths.all(|path| self.covers(&path))
    }
}

/// What a planner named; what of that can't be read names nothing.
#[derive(Debug)]
pub struct FilePaths(Vec<Name>);

impl FilePaths {
    /// Those of a task.
    pub fn of(draft: &TaskDraft) -> Self {
        Self(draft.file_paths.iter().filter_map(|name| Name::parse(name).ok()).collect())
    }

    /// Whether a file is among them.
    pub fn cover(&self, path: &CheckoutPath) -> bool {
        self.0.iter().any(|name| name.covers(path))
    }

    /// Those of these files that are not among them; none where the planner named
    /// no files at all.
    pub fn outside<'a>(&self, files: &'a [String]) -> Vec<&'a str> {
        let is_outside = |file: &&str| {
            !self.0.is_empty() && !CheckoutPath::parse(file).is_ok_and(|path| self.cover(&path))
        };
        files.iter().map(String::as_str).filter(is_outside).collect()
    }
}

/// Which new files belong to one attempt at a task.
#[derive(Debug)]
pub struct Scope {
    /// Without those that cover everything: they name no file.
    planned: FilePaths,
    named: Mutex<Vec<Name>>,
}

impl Scope {
    /// The scope of a task whose worker has named nothing yet.
    pub fn of(draft: &TaskDraft) -> Self {
        let mut planned = FilePaths::of(draft);
        planned.0.retain(|name| !name.covers_all());
        Self { planned, named: Mutex::default() }
    }

    /// Takes in what a worker names; all of it or nothing.
    pub fn include(&self, names: &[String]) -> Result<(), CallError> {
        let names: Vec<Name> =
            names.iter().map(|name| Name::parse(name)).collect::<Result<_, _>>()?;
        if names.iter().any(Name::covers_all) {
            return Err(CallError::Invalid(
                "everything is no answer: name the new files or folders that belong to the work"
                    .into(),
            ));
        }
        let mut named = self.named();
        if named.len() + names.len() > MOST_NAMES {
            return Err(CallError::Invalid(format!(
                "more than {MOST_NAMES} names of files; name folders or globs instead"
            )));
        }
        named.extend(names);
        Ok(())
    }

    /// Whether a new file belongs to the work.
    pub fn covers(&self, path: &CheckoutPath) -> bool {
        self.planned.cover(path) || self.named().iter().any(|name| name.covers(path))
    }

    /// What was named by its path alone, be it a file or a folder.
    pub fn paths(&self) -> Vec<CheckoutPath> {
        let named = self.named();
        let all = self.planned.0.iter().chain(named.iter());
        all.filter_map(|name| name.path.clone()).collect()
    }

    fn named(&self) -> MutexGuard<'_, Vec<Name>> {
        // It is extended whole or not at all.
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Priority;

    fn draft(file_paths: &[&str]) -> TaskDraft {
        TaskDraft {
            title: "t".into(),
            description: "d".into(),
            priority: Priority::Low,
            file_paths: file_paths.iter().map(|&path| path.to_owned()).collect(),
        }
    }

    fn covers(names: &[&str], path: &str) -> bool {
        FilePaths::of(&draft(names)).cover(&CheckoutPath::parse(path).unwrap())
    }

    #[test]
    fn paths_folders_and_globs_count_from_the_top() {
        for (name, path) in [
            ("a.txt", "a.txt"),
            ("src", "src/a/b.rs"),
            ("./src/", "src/a.rs"),
            ("src/**/*.rs", "src/a/b.rs"),
            ("**/*.snap", "a/b.snap"),
            ("app/[id]/page.tsx", "app/[id]/page.tsx"),
            (".", "anything"),
        ] {
            assert!(covers(&[name], path), "{name} covers {path}");
        }
        for (name, path) in [
            ("a.txt", "node_modules/a.txt"),
            ("*.js", "node_modules/a.js"),
            ("src", "srcs/a.rs"),
            ("/etc", "etc"),
            ("[", "a"),
            ("", "a"),
            ("../x", "x"),
        ] {
            assert!(!covers(&[name], path), "{name} does not cover {path}");
        }
    }

    #[test]
    fn a_worker_names_files_and_never_all_of_them() {
        let scope = Scope::of(&draft(&[]));
        let include = |names: &[&str]| {
            scope.include(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        for refused in ["", ".", "./", "*", "**", "/etc/passwd", "../x", "[*"] {
            let outcome = include(&["a.txt", refused]);
            assert!(matches!(outcome, Err(CallError::Invalid(_))), "{refused}: {outcome:?}");
        }
        assert!(!scope.covers(&CheckoutPath::parse("a.txt").unwrap()), "all of it or nothing");
        include(&["a.txt", "out/*.png"]).unwrap();
        for covered in ["a.txt", "out/a.png"] {
            assert!(scope.covers(&CheckoutPath::parse(covered).unwrap()));
        }
        assert!(matches!(include(&["a"; 999]), Err(CallError::Invalid(_))));
    }

    #[test]
    fn a_planner_who_names_everything_names_no_file_and_has_none_outside() {
        for everything in [".", "*", "**", "**/*", "./**", "{*,*/**}"] {
            let draft = draft(&[everything, "out/*.png"]);
            let scope = Scope::of(&draft);
            assert!(!scope.covers(&CheckoutPath::parse("junk").unwrap()), "{everything}");
            assert!(scope.covers(&CheckoutPath::parse("out/a.png").unwrap()), "{everything}");
            let files = ["junk".to_owned()];
            assert!(FilePaths::of(&draft).outside(&files).is_empty(), "{everything}");
        }
        let some = Scope::of(&draft(&["[a-z]*", "**/*.rs"]));
        assert!(some.covers(&CheckoutPath::parse("a").unwrap()));
    }

    #[test]
    fn who_names_no_files_has_none_outside() {
        let files = ["a.rs".to_owned(), "b.rs".to_owned()];
        assert_eq!(FilePaths::of(&draft(&["a.rs"])).outside(&files), ["b.rs"]);
        assert!(FilePaths::of(&draft(&[])).outside(&files).is_empty());
    }
}
