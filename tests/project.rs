//! A git repository for one test, below a temporary folder that also holds the
//! program's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub struct Project {
    folder: TempDir,
}

impl Project {
    /// A repository with these files in one commit on `main`.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let project = Self::without_git();
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.write(files);
        project.git(&["add", "--all"]);
        project.git(&["commit", "--quiet", "--message=Begin"]);
        project
    }

    /// A folder that is no repository.
    pub fn without_git() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(project.path()).unwrap();
        project
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A folder beside the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Whether git succeeds.
    pub fn tries(&self, arguments: &[&str]) -> bool {
        self.git_output(arguments).status.success()
    }

    /// The code that git ends with.
    pub fn git_code(&self, arguments: &[&str]) -> Option<i32> {
        self.git_output(arguments).status.code()
    }

    fn git_output(&self, arguments: &[&str]) -> Output {
        Command::new("git")
            .args(["-c", "user.name=Tester", "-c", "user.email=tester@example.com"])
            .args(arguments)
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap()
    }

    /// Runs git, which has to succeed; returns what it printed, trimmed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.git_output(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// One value from the run's database, by the query that a person types.
    pub fn query<T: rusqlite::types::FromSql>(&self, query: &str) -> T {
        let path = self.path().join(".code-agent/code_agent_tasks.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Everything that must not differ when a call was refused: refs, status
    /// and the folder's names.
    pub fn fingerprint(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        if self.path().join(".git").exists() {
            names.push(self.git(&["for-each-ref"]));
            names.push(self.git(&["status", "--porcelain"]));
        }
        names
    }

    /// The state that every run has to leave behind.
    pub fn assert_sound(&self) {
        self.git(&["fsck", "--strict", "--no-dangling"]);
        let merges = self.git(&["rev-list", "--merges", "--count", "main"]);
        assert_eq!(merges, "0", "the history is straight");
        assert_eq!(self.query::<String>("PRAGMA integrity_check"), "ok");
        let left: u32 =
            self.query("SELECT count(*) FROM tasks WHERE status IN ('pending', 'in_progress')");
        assert_eq!(left, 0, "no task is left open");
        let leased: u32 =
            self.query("SELECT count(*) FROM tasks WHERE lease_expires_at IS NOT NULL");
        assert_eq!(leased, 0, "no lease is left");
        let git = leftovers(&self.path().join(".git"));
        assert_eq!(git, Vec::<PathBuf>::new(), "no lock, held pack or temporary file is left");
        let packs = self.path().join(".git/objects/pack");
        for pack in fs::read_dir(packs).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if pack.extension().is_some_and(|ending| ending == "pack") {
                assert!(pack.with_extension("idx").exists(), "nobody sees {}", pack.display());
            }
        }
        let checkouts = self.beside("cache").join("code-agent/checkouts");
        assert!(is_empty(&checkouts), "no checkout is left behind");
    }
}

/// Locks and temporary files of git, and what holds a pack; the host's own lock is
/// freed by the kernel and may lie there.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // An object in the making may be anybody's; what stays of one goes when the
        // next run is resumed, a minute later.
        if path.ends_with(".git/code-agent") || name.starts_with("tmp_object_git2_") {
            continue;
        }
        let begins = ["tmp_", "code-agent-"].iter().any(|begin| name.starts_with(begin));
        if begins || [".lock", ".keep"].iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        } else if path.is_dir() {
            found.extend(leftovers(&path));
        }
    }
    found
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
