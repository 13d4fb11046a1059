//! A control group for a command, where one can be made: it counts processes
//! and memory of all of them together, which limits of single processes can't.
//! Version 2 of the kernel's interface where the host's own group hands its
//! controllers down, version 1 where the host may write there; else nothing.

#![expect(clippy::disallowed_methods, reason = "files of the kernel")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Limits;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// One command's group; gone with this, and with its processes before.
#[derive(Debug, Default)]
pub(super) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// Makes a group with these limits; an empty one where that can't be done.
    pub(super) fn make(limits: &Limits) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("code-agent-{}-{number}", std::process::id());
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut group = Self::default();
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            let settings = settings(controllers, limits);
            if !settings.is_empty() {
                group.add(&parent(controllers, path).join(&name), &settings);
            }
        }
        group
    }

    /// The groups' folders, for whoever is to join them.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.folders.clone()
    }

    /// All of the settings, or no group.
    fn add(&mut self, folder: &Path, settings: &[(&str, u64)]) {
        if fs::create_dir(folder).is_err() {
            return;
        }
        let set = |(file, most): &(&str, u64)| fs::write(folder.join(file), most.to_string());
        if settings.iter().map(set).all(|done| done.is_ok()) {
            self.folders.push(folder.to_owned());
        } else {
            remove(folder);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.folders.iter().for_each(|folder| remove(folder));
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir(folder) {
        tracing::debug!("the control group {} stays: {error}", folder.display());
    }
}

/// Which files hold which limits; none where the hierarchy counts other things.
fn settings(controllers: &str, limits: &Limits) -> Vec<(&'static str, u64)> {
    match controllers {
        "pids" => vec![("pids.max", limits.processes)],
        "memory" => vec![("memory.limit_in_bytes", limits.memory_bytes)],
        "" => vec![("pids.max", limits.processes), ("memory.max", limits.memory_bytes)],
        _ => Vec::new(),
    }
}

/// The host's own group, below which the new one is made.
fn parent(controllers: &str, path: &str) -> PathBuf {
    let mount = Path::new(MOUNT);
    let mount = match controllers {
        "" if mount.join("cgroup.controllers").exists() => mount.to_owned(),
        "" => mount.join("unified"),
        controllers => mount.join(controllers),
    };
    mount.join(path.trim_start_matches('/'))
}
