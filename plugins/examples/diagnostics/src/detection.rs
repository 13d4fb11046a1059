//! Which checkers a repository uses, by its own files. Owns these rules; reads
//! nothing itself, so that they are tried without a repository.

use crate::checkers::{self, Checker};

/// A checker that is used, and where.
#[derive(Debug)]
pub struct Used {
    pub checker: &'static Checker,
    /// Relative to the repository's top; empty for the top itself.
    pub folder: String,
    /// The file that says so.
    pub because: String,
}

/// The files that can say something.
pub const GLOBS: [&str; 16] = [
    "Cargo.toml",
    "pyproject.toml",
    "ruff.toml",
    ".ruff.toml",
    "mypy.ini",
    ".mypy.ini",
    "setup.cfg",
    "pyrightconfig.json",
    "tsconfig.json",
    "package.json",
    "eslint.config.*",
    ".eslintrc",
    ".eslintrc.*",
    "go.mod",
    "!node_modules",
    "!vendor",
];

/// All checkers that are used. `paths` are the files of [`GLOBS`], `read` gives
/// the text of one.
pub fn used(paths: &[String], read: impl Fn(&str) -> Option<String>) -> Vec<Used> {
    let mut found: Vec<Used> = Vec::new();
    // A folder comes before what lies in it.
    let mut paths: Vec<&String> = paths.iter().collect();
    paths.sort_by_key(|path| (path.matches('/').count(), *path));
    for path in paths {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let text = if is_read(file) { read(path).unwrap_or_default() } else { String::new() };
        for (checker, own) in said(file, &text) {
            let covered = |other: &Used| {
                other.checker.name == checker.name
                    && (other.folder == folder || (!own && is_below(folder, &other.folder)))
            };
            if !found.iter().any(covered) {
                found.push(Used { checker, folder: folder.to_owned(), because: path.clone() });
            }
        }
    }
    found.sort_by(|one, other| {
        (one.checker.name, &one.folder).cmp(&(other.checker.name, &other.folder))
    });
    found
}

/// What a file says: the checkers, and for each whether the folder stands for
/// itself even below another one that the checker is used in.
fn said(file: &str, text: &str) -> Vec<(&'static Checker, bool)> {
    let mypy = if names_files(text) { &checkers::MYPY_AS_CONFIGURED } else { &checkers::MYPY };
    match file {
        "Cargo.toml" => vec![(&checkers::CARGO, has_section(text, "workspace"))],
        "ruff.toml" | ".ruff.toml" => vec![(&checkers::RUFF, false)],
        "mypy.ini" | ".mypy.ini" => vec![(mypy, false)],
        "setup.cfg" if has_section(text, "mypy") => vec![(mypy, false)],
        "pyrightconfig.json" => vec![(&checkers::PYRIGHT, false)],
        "pyproject.toml" => {
            let sections = [
                ("tool.ruff", &checkers::RUFF),
                ("tool.mypy", mypy),
                ("tool.pyright", &checkers::PYRIGHT),
            ];
            let said = sections.into_iter().filter(|(section, _)| has_section(text, section));
            said.map(|(_, checker)| (checker, false)).collect()
        }
        "tsconfig.json" if text.contains("\"references\"") => vec![(&checkers::TSC_BUILD, false)],
        "tsconfig.json" => vec![(&checkers::TSC, false)],
        "package.json" if text.contains("\"eslintConfig\"") => vec![(&checkers::ESLINT, false)],
        "package.json" => Vec::new(),
        "go.mod" => vec![(&checkers::GO_VET, true)],
        _ if file.starts_with("eslint.config.") || file.starts_with(".eslintrc") => {
            vec![(&checkers::ESLINT, false)]
        }
        _ => Vec::new(),
    }
}

/// Whether its text matters, not its name alone.
fn is_read(file: &str) -> bool {
    let names = ["Cargo.toml", "pyproject.toml", "setup.cfg", "tsconfig.json", "package.json"];
    names.contains(&file) || file.ends_with("mypy.ini")
}

/// Whether a section of that name is there, or one below it.
fn has_section(text: &str, name: &str) -> bool {
    text.lines().filter_map(|line| line.trim().strip_prefix('[')).any(|line| {
        let line = line.trim_start_matches('[');
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([']', '.', '-']))
    })
}

/// Whether mypy's configuration says what to check.
fn names_files(text: &str) -> bool {
    let mut in_mypy = false;
    text.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            in_mypy = matches!(line, "[mypy]" | "[tool.mypy]");
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        in_mypy && ["files", "packages", "modules"].contains(&key)
    })
}

fn is_below(folder: &str, other: &str) -> bool {
    other.is_empty() || folder.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "checker folder" for each that is used.
    fn detected(files: &[(&str, &str)]) -> Vec<String> {
        let paths: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let read = |wanted: &str| {
            files.iter().find(|(path, _)| *path == wanted).map(|(_, text)| (*text).to_owned())
        };
        let describe = |used: &Used| format!("{} in {:?}", used.checker.name.text(), used.folder);
        used(&paths, read).iter().map(describe).collect()
    }

    #[test]
    fn a_file_says_what_is_used() {
        assert_eq!(detected(&[("Cargo.toml", "[package]")]), ["cargo in \"\""]);
        assert_eq!(detected(&[("a/go.mod", "")]), ["go-vet in \"a\""]);
        assert_eq!(detected(&[("web/tsconfig.json", "{}")]), ["tsc in \"web\""]);
        assert_eq!(detected(&[("eslint.config.mjs", "")]), ["eslint in \"\""]);
        assert_eq!(detected(&[("package.json", "{\"eslintConfig\": {}}")]), ["eslint in \"\""]);
        assert_eq!(detected(&[("package.json", "{}"), ("setup.cfg", "[metadata]")]), [""; 0]);
        let python = "[project]\n[tool.ruff.lint]\n[tool.mypy]\n[tool.pyright]\n";
        let all = ["mypy in \"\"", "pyright in \"\"", "ruff in \"\""];
        assert_eq!(detected(&[("pyproject.toml", python)]), all);
        assert_eq!(detected(&[("pyproject.toml", "[project]\n[tool.ruffian]")]), [""; 0]);
    }

    #[test]
    fn what_a_folder_covers_is_run_once() {
        let files = [
            ("Cargo.toml", "[workspace]\nmembers = [\"one\"]"),
            ("one/Cargo.toml", "[package]"),
            ("plugins/Cargo.toml", "[workspace]"),
            ("plugins/two/Cargo.toml", "[package]"),
        ];
        assert_eq!(detected(&files), ["cargo in \"\"", "cargo in \"plugins\""]);
        let files = [("b/ruff.toml", ""), ("b/c/ruff.toml", ""), ("bc/.ruff.toml", "")];
        assert_eq!(detected(&files), ["ruff in \"b\"", "ruff in \"bc\""]);
        let files = [("go.mod", ""), ("tools/go.mod", "")];
        assert_eq!(detected(&files), ["go-vet in \"\"", "go-vet in \"tools\""]);
    }

    #[test]
    fn a_configuration_that_names_its_files_is_left_to_it() {
        let command = |text: &str| {
            used(&["mypy.ini".to_owned()], |_| Some(text.to_owned()))[0].checker.command
        };
        assert!(command("[mypy]\nstrict = true\n[mypy-files.*]\nfiles = x").ends_with(" ."));
        assert!(command("[mypy]\nfiles = src").ends_with("--no-error-summary"));
        let references = |_: &str| Some("{\"files\": [], \"references\": []}".to_owned());
        let found = used(&["tsconfig.json".to_owned()], references);
        assert!(found[0].checker.command.contains("--build"));
    }
}
