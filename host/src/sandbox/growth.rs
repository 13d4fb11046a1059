//! Watches how much a command's folders hold while it runs: a disk that is full
//! stops everybody, the queue included.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_fs_ext::DirExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};

use tokio::sync::Semaphore;

use super::Policy;

/// How often the disk is asked what is free; that costs next to nothing.
const DISK_PAUSE: Duration = Duration::from_millis(100);
/// How long the first count of the folders waits: most commands are over before.
const FIRST_COUNT: Duration = Duration::from_secs(1);
/// Counting takes at most this share of the time, as one in so many.
const SHARE: u32 = 20;
/// Bytes of the disk that have to stay free.
const LEAST_FREE: u64 = 1 << 30;

/// Files that have to stay possible on the disk, where it counts them.
const LEAST_FILES: u64 = 20_000;
/// Bytes that a file costs at least: the disk keeps its name and its times.
const LEAST_SIZE: u64 = 1024;
/// How many folders deep the count goes, each held open meanwhile by up to three
/// descriptors. Projects stay far below.
const DEEPEST: u32 = 100;
/// One count at a time, for it is the host's descriptors that it takes.
static COUNTING: Semaphore = Semaphore::const_new(1);

/// Returns once the folders hold too much, or the disk has no room, with a
/// sentence.
pub(super) async fn too_much(policy: &Policy) -> String {
    tokio::select! {
        sentence = disk_full(&policy.folders.checkout) => sentence,
        sentence = folders_full(policy) => sentence,
    }
}

async fn disk_full(folder: &Path) -> String {
    loop {
        tokio::time::sleep(DISK_PAUSE).await;
        if let Some(sentence) = shortage(folder) {
            return sentence;
        }
    }
}

/// What the disk of a folder lacks for commands, if it does.
pub fn shortage(folder: &Path) -> Option<String> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_FREE {
        return Some(format!(
            "the disk is almost full: less than {} MiB are free",
            LEAST_FREE >> 20
        ));
    }
    let few = disk.f_files > 0 && disk.f_favail < LEAST_FILES;
    few.then(|| format!("the disk takes less than {LEAST_FILES} more files"))
}

async fn folders_full(policy: &Policy) -> String {
    let mut pause = FIRST_COUNT;
    loop {
        tokio::time::sleep(pause).await;
        let folders = &policy.folders;
        let folders = [&folders.checkout, &folders.temporary, &folders.home].map(PathBuf::to_owned);
        let limit = policy.limits.disk_bytes;
        // Never closed.
        let alone = COUNTING.acquire().await;
        let begun = tokio::time::Instant::now();
        let counted = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            count(&folders, limit)
        })
        .await;
        if let Ok(Some(sentence)) = counted {
            return sentence;
        }
        pause = FIRST_COUNT.max(begun.elapsed() * SHARE);
    }
}

/// Counts the bytes that the disk holds below the folders; a sentence where that
/// is too much. What vanishes meanwhile, or is closed, counts as nothing.
fn count(folders: &[PathBuf], limit: u64) -> Option<String> {
    let mut total = 0;
    for folder in folders {
        let Ok(folder) = Dir::open_ambient_dir(folder, ambient_authority()) else { continue };
        if add(&folder, &mut total, limit, DEEPEST).is_break() {
            return Some(if total > limit {
                format!("its folders hold more than {} MiB", limit >> 20)
            } else {
                format!("it nests folders more than {DEEPEST} deep, where nobody can count them")
            });
        }
    }
    None
}

/// Breaks off where there is too much, or it lies too deep.
fn add(folder: &Dir, total: &mut u64, limit: u64, deeper: u32) -> ControlFlow<()> {
    let Ok(entries) = folder.entries() else { return ControlFlow::Continue(()) };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        *total += (metadata.blocks() * 512).max(LEAST_SIZE);
        if *total > limit || deeper == 0 {
            return ControlFlow::Break(());
        }
        if metadata.is_dir()
            && let Ok(inner) = folder.open_dir_nofollow(entry.file_name())
        {
            add(&inner, total, limit, deeper - 1)?;
        }
    }
    ControlFlow::Continue(())
}
