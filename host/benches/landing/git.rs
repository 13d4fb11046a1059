//! Repositories to measure on, made with the `git` command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Result;

/// Entries of a folder, at most.
const IN_A_FOLDER: usize = 100;

/// How far apart in the list two files lie that are changed one after the
/// other; a prime, so that each comes once.
const STEP: usize = 7_919;

/// A repository whose branch `main` is checked out, in a folder that also has
/// room for what is measured.
pub struct Project {
    folder: TempDir,
    /// Files that may be changed.
    pub files: Vec<String>,
}

impl Project {
    pub fn generate(files: usize) -> Result<Self> {
        let project = Self::begin()?;
        let top = project.top();
        fs::create_dir(&top)?;
        let text = "    let value = compute(value, 1); // a line like any other\n".repeat(40);
        for number in 0..files {
            let folder = number / IN_A_FOLDER;
            let folder = top.join(format!("part_{}/module_{folder}", folder / IN_A_FOLDER));
            if number % IN_A_FOLDER == 0 {
                fs::create_dir_all(&folder)?;
            }
            fs::write(folder.join(format!("file_{number}.rs")), format!("// {number}\n{text}"))?;
        }
        fs::write(top.join(".gitignore"), "target/\n*.log\n")?;
        run(&top, &["init", "--quiet", "--initial-branch=main"])?;
        run(&top, &["add", "--all"])?;
        run(&top, &["commit", "--quiet", "--message=Begin"])?;
        // As a clone has it: not a file for each object.
        run(&top, &["repack", "-a", "-d", "--quiet"])?;
        project.with_files()
    }

    /// A clone of somebody's repository, which stays as it is.
    pub fn copy(named: &Path) -> Result<Self> {
        let project = Self::begin()?;
        let (from, to) = (named.display().to_string(), project.top().display().to_string());
        run(project.folder.path(), &["clone", "--quiet", "--no-hardlinks", &from, &to])?;
        run(&project.top(), &["checkout", "--quiet", "-B", "main"])?;
        project.with_files()
    }

    fn begin() -> Result<Self> {
        // On the disk that the project is built on: a folder in memory knows no sync.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        Ok(Self { folder, files: Vec::new() })
    }

    fn with_files(mut self) -> Result<Self> {
        let listed = run(&self.top(), &["ls-tree", "-r", "--full-tree", "-z", "HEAD"])?;
        for entry in listed.split('\0').filter(|entry| entry.starts_with("100")) {
            let path = entry.split('\t').next_back().unwrap_or_default();
            if !path.ends_with(".gitignore") {
                self.files.push(path.to_owned());
            }
        }
        // Neighbours in a list are neighbours in a folder; workers are not.
        let count = self.files.len();
        let step = if count.is_multiple_of(STEP) { 1 } else { STEP };
        self.files = (0..count).map(|at| self.files[at * step % count].clone()).collect();
        Ok(self)
    }

    pub fn top(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs git, which has to succeed; returns what it printed.
pub fn run(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(["-c", "user.name=Bench", "-c", "user.email=bench@localhost"])
        // In the background it would disturb what is measured.
        .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
