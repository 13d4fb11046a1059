//! Builds and tests the examples of plugins that are written in Python and
//! JavaScript, by the commands that their READMEs tell: each fetches its compiler,
//! in the version that it pins, into its own folder. Where python3 or npm is
//! missing, it says which examples and tests are left out. It doesn't know what
//! is in them.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Result, at};
use crate::demo;

/// An example that is not in Rust.
struct Example {
    /// The folder's name, and that of the component in it.
    name: String,
    folder: PathBuf,
    language: Language,
}

/// A language whose compiler comes from a registry of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// By componentize-py, from PyPI.
    Python,
    /// By componentize-js, from npm.
    JavaScript,
}

/// What a language needs on this machine; the rest comes from its registry.
struct Needs {
    /// For a person.
    words: &'static str,
    /// Commands that succeed where it is there.
    probes: &'static [&'static [&'static str]],
}

impl Language {
    /// By the file that its templates have; none for the examples in Rust, which
    /// are built with the workspace.
    fn of(folder: &Path) -> Option<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has("build.py") {
            Some(Self::Python)
        } else if has("build.mjs") {
            Some(Self::JavaScript)
        } else {
            None
        }
    }

    fn needs(self) -> Needs {
        match self {
            Self::Python => Needs {
                words: "python3 with its modules venv and ensurepip",
                // Debian has the module `venv` without what it needs.
                probes: &[&["python3", "-c", "import ensurepip, venv"]],
            },
            Self::JavaScript => Needs {
                words: "Node.js with npm",
                probes: &[&["node", "--version"], &["npm", "--version"]],
            },
        }
    }

    /// What fetches the compiler and all else that is pinned.
    fn fetch(self) -> Command {
        match self {
            // The first half of what it does by itself; the second is nothing to try again.
            // Without -B, it would leave a compiled build.py for the component to hold.
            Self::Python => {
                let mut python = words(&["python3", "-B", "-c", "import build; build.install()"]);
                python.envs([("PIP_TIMEOUT", "60"), ("PIP_RETRIES", "10")]);
                python
            }
            // Unlike `npm install`, it leaves package-lock.json alone.
            Self::JavaScript => {
                let mut npm = words(&["npm", "ci", "--no-audit", "--no-fund"]);
                npm.env("npm_config_fetch_retries", "5");
                npm
            }
        }
    }

    /// What builds the component once that is there.
    fn build(self) -> Command {
        match self {
            Self::Python => words(&["python3", "build.py"]),
            Self::JavaScript => words(&["node", "build.mjs"]),
        }
    }
}

/// Builds what has changed since it was built.
pub fn build(top: &Path) -> Result<()> {
    for example in possible(top)? {
        build_one(top, &example)?;
    }
    Ok(())
}

/// Plays the examples' own test cases, and makes the tests of runs with them.
pub fn test(top: &Path) -> Result<()> {
    let program = demo::built(top, "code-agent")?;
    for example in possible(top)? {
        command::run(Command::new(&program).args(["plugin", "test"]).arg(&example.folder))?;
        // Without the component they would fail, so that else they are ignored.
        command::ignored_tests(top, &format!("examples::{}_", example.name.replace('-', "_")))?;
    }
    Ok(())
}

/// What this machine lacks to build a plugin in the language, if anything.
pub fn missing(language: Language) -> Option<&'static str> {
    let needs = language.needs();
    (!is_there(&needs)).then_some(needs.words)
}

/// The examples that can be built here; says which are left out.
fn possible(top: &Path) -> Result<Vec<Example>> {
    let mut possible = Vec::new();
    for example in examples(top)? {
        match missing(example.language) {
            Some(words) => println!(
                "LEFT OUT: plugins/examples/{} and its tests, since {words} is missing here",
                example.name
            ),
            None => possible.push(example),
        }
    }
    Ok(possible)
}

fn examples(top: &Path) -> Result<Vec<Example>> {
    let parent = top.join("plugins/examples");
    let mut found = Vec::new();
    for entry in fs::read_dir(&parent).map_err(at("read", &parent))? {
        let entry = entry.map_err(at("read", &parent))?;
        let folder = entry.path();
        if let Some(language) = Language::of(&folder) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push(Example { name, folder, language });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn is_there(needs: &Needs) -> bool {
    needs.probes.iter().all(|probe| command::succeeds(&mut words(probe)))
}

fn words(words: &[&str]) -> Command {
    let mut command = Command::new(words.first().copied().unwrap_or_default());
    command.args(words.get(1..).unwrap_or_default());
    command
}

fn build_one(top: &Path, example: &Example) -> Result<()> {
    let component = example.folder.join(&example.name).with_extension("wasm");
    let stamps = top.join("target/examples");
    let stamp = stamps.join(&example.name);
    let sources = fingerprint(top, &example.folder)?;
    let known = fs::read_to_string(&stamp).is_ok_and(|old| old == sources);
    let is_new = !(known && component.is_file());
    if is_new {
        command::download(example.language.fetch().current_dir(&example.folder))?;
        command::run(example.language.build().current_dir(&example.folder))?;
        fs::create_dir_all(&stamps).map_err(at("make", &stamps))?;
        fs::write(&stamp, sources).map_err(at("write", &stamp))?;
    }
    let size = fs::metadata(&component).map_err(at("find", &component))?.len();
    println!(
        "{}: {} KiB, {}",
        component.strip_prefix(top).unwrap_or(&component).display(),
        size.div_ceil(1024),
        if is_new { "new" } else { "unchanged" }
    );
    Ok(())
}

/// Stands for all that the component is made of: the folder's files, but what git
/// ignores, and the contract.
fn fingerprint(top: &Path, folder: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for folder in [folder, &top.join("wit")] {
        let mut list = command::git(folder);
        list.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
        for name in command::capture(&mut list)?.lines() {
            let path = folder.join(name);
            // A file that was deleted is listed, too, and so is the link to the contract.
            if path.is_file() {
                name.hash(&mut hasher);
                fs::read(&path).map_err(at("read", &path))?.hash(&mut hasher);
            }
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(top: &Path, path: &str, text: &str) {
        let path = top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_changed_source_or_contract_is_built_again() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        let folder = top.join("plugins/examples/judge");
        command::run(command::git(top).args(["init", "--quiet"])).unwrap();
        file(top, "wit/types.wit", "one");
        file(&folder, ".gitignore", "*.wasm\n");
        file(&folder, "plugin.py", "one");
        let begin = fingerprint(top, &folder).unwrap();

        file(&folder, "judge.wasm", "what was built");
        assert_eq!(fingerprint(top, &folder).unwrap(), begin);
        file(&folder, "plugin.py", "two");
        let changed = fingerprint(top, &folder).unwrap();
        assert_ne!(changed, begin);
        file(top, "wit/types.wit", "two");
        assert_ne!(fingerprint(top, &folder).unwrap(), changed);
    }

    #[test]
    fn an_examples_language_shows_in_its_files() {
        let top = command::top();
        let found = examples(&top).unwrap();
        let found: Vec<_> =
            found.iter().map(|example| (example.name.as_str(), example.language)).collect();
        assert_eq!(
            found,
            [("criteria-judge", Language::Python), ("validate", Language::JavaScript)]
        );
    }

    #[test]
    fn what_is_missing_is_noticed() {
        let needs =
            |program: &'static [&'static [&'static str]]| Needs { words: "", probes: program };
        assert!(is_there(&needs(&[&["git", "--version"]])));
        assert!(!is_there(&needs(&[&["git", "--version"], &["no-such-program"]])));
    }

    /// An example is what a new plugin looks like, and stays that way.
    #[test]
    fn examples_have_the_templates_files() {
        let top = command::top();
        for (name, template, files) in [
            (
                "criteria-judge",
                "python",
                ["build.py", "guard.py", ".gitignore", "requirements.txt"].as_slice(),
            ),
            ("validate", "javascript", ["build.mjs", "guard.js", ".gitignore"].as_slice()),
        ] {
            for file in files {
                let common = top.join("host/templates").join(template).join("common").join(file);
                let expected = fs::read_to_string(common).unwrap().replace("{{name}}", name);
                let example = top.join("plugins/examples").join(name).join(file);
                assert_eq!(fs::read_to_string(example).unwrap(), expected, "{name}/{file}");
            }
        }
    }
}
