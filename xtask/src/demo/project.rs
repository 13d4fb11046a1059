//! Projects to work on: the demo's, a small library under git that is made afresh
//! for each demo, and what cargo and git say of it; or one of a few files.

use std::fmt;
use std::fs;
use std::path::Path;

use super::{Finding, finding};
use crate::command::{self, Result, at, failed};

/// Cargo would take the template for a package of its own under the real name.
const MANIFEST: &str = "Cargo.toml.template";

/// Makes the project from its template, as a repository with one commit.
pub fn make(template: &Path, project: &Path) -> Result<()> {
    if project.exists() {
        fs::remove_dir_all(project).map_err(at("remove", project))?;
    }
    copy(template, project)?;
    commit(project, "textkit, with failing tests")
}

/// Makes a repository of these files, with one commit.
pub fn new(project: &Path, files: &[(&str, &str)]) -> Result<()> {
    fs::create_dir_all(project).map_err(at("make", project))?;
    for (name, text) in files {
        let path = project.join(name);
        fs::write(&path, text).map_err(at("write", &path))?;
    }
    commit(project, "Begin")
}

fn commit(project: &Path, message: &str) -> Result<()> {
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "--all"],
        // The user's own name, hooks and keys have no part in this.
        &[
            "-c",
            "user.name=textkit",
            "-c",
            "user.email=textkit@example.invalid",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "core.hooksPath=/dev/null",
            "commit",
            "--quiet",
            "--message",
            message,
        ],
    ] {
        command::run(command::git(project).args(arguments))?;
    }
    Ok(())
}

/// Copies the template's files under their real names.
pub fn copy(template: &Path, project: &Path) -> Result<()> {
    fs::create_dir_all(project).map_err(at("make", project))?;
    for entry in fs::read_dir(template).map_err(at("read", template))? {
        let from = entry.map_err(at("read", template))?.path();
        let name = from.file_name().unwrap_or_default();
        if from.is_dir() {
            copy(&from, &project.join(name))?;
        } else {
            let to = project.join(if name == MANIFEST { "Cargo.toml".as_ref() } else { name });
            fs::copy(&from, &to).map_err(at("write", &to))?;
        }
    }
    Ok(())
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
}

impl Tests {
    /// Whether there are tests and none fails. Code that doesn't compile has
    /// none.
    pub fn all_pass(self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}

impl fmt::Display for Tests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} pass, {} fail", self.passed, self.failed)
    }
}

/// Runs the project's tests. Failing ones are an answer, and so is code that
/// doesn't compile; what cargo said to it is printed.
pub fn test(project: &Path, builds: &Path) -> Result<Tests> {
    let mut test = command::cargo();
    test.args(["test", "--offline", "--target-dir"]).arg(builds).current_dir(project);
    let output =
        test.output().map_err(|error| failed(format!("can't run the project's tests: {error}")))?;
    let tests = counted(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() && tests.failed == 0 {
        println!("{}", String::from_utf8_lossy(&output.stderr));
        return Ok(Tests::default());
    }
    Ok(tests)
}

/// Adds up cargo's summaries, one of each test binary:
/// `test result: ok. 3 passed; 0 failed; …`.
fn counted(output: &str) -> Tests {
    let mut tests = Tests::default();
    for summary in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let words: Vec<&str> = summary.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            match (pair[0].parse::<u32>(), pair[1]) {
                (Ok(count), "passed") => tests.passed += count,
                (Ok(count), "failed") => tests.failed += count,
                _ => {}
            }
        }
    }
    tests
}

/// Whether the repository is sound.
pub fn fsck(project: &Path) -> Result<Finding> {
    let mut fsck = command::git(project);
    let output = fsck
        .args(["fsck", "--no-dangling", "--no-progress"])
        .output()
        .map_err(|error| failed(format!("can't run git fsck: {error}")))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if output.status.success() && said.is_empty() {
        return Ok(finding(true, "git fsck finds the repository sound"));
    }
    Ok(finding(false, format!("git fsck ends with {}: {said}", output.status)))
}

/// Whether the working tree went along with the branch.
pub fn clean(project: &Path) -> Result<Finding> {
    let status = command::capture(command::git(project).args(["status", "--porcelain"]))?;
    if status.is_empty() {
        return Ok(finding(true, "the working tree is what the branch says"));
    }
    Ok(finding(false, format!("the working tree differs from the branch:\n{status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up() {
        let output = "running 3 tests\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(counted(output), Tests { passed: 6, failed: 1 });
    }

    #[test]
    fn no_tests_at_all_are_no_success() {
        assert!(!counted("error: could not compile `textkit`").all_pass());
    }
}
