//! Watches how much a command's folders hold while it runs: a disk that is full
//! stops everybody, the queue included.

#![expect(clippy::disallowed_methods, reason = "names and sizes alone; nothing is opened")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Policy;

/// How long the first look waits: most commands are over before.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// A look takes at most this share of the time, as one in so many.
const SHARE: u32 = 20;
/// Bytes of the disk that have to stay free.
const LEAST_FREE: u64 = 256 << 20;

/// Returns once the folders hold too much, with a sentence.
pub(super) async fn too_much(policy: &Policy) -> String {
    let mut pause = FIRST_LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let folders = [policy.folder.clone(), policy.temporary.clone()];
        let limit = policy.limits.disk_bytes;
        let begun = tokio::time::Instant::now();
        let held = tokio::task::spawn_blocking(move || look(&folders, limit)).await;
        if let Ok(Some(sentence)) = held {
            return sentence;
        }
        pause = FIRST_LOOK.max(begun.elapsed() * SHARE);
    }
}

fn look(folders: &[PathBuf], limit: u64) -> Option<String> {
    let free = folders.first().and_then(|folder| rustix::fs::statvfs(folder).ok());
    if free.is_some_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_FREE) {
        return Some("the disk is almost full".to_owned());
    }
    let held: u64 = folders.iter().map(|folder| size(folder, limit)).sum();
    (held > limit).then(|| format!("its folders hold more than {} MiB", limit >> 20))
}

/// The bytes that the disk holds below a folder; not much more than `enough` is
/// counted. What vanishes meanwhile counts as nothing.
fn size(folder: &Path, enough: u64) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let mut total = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            total += metadata.blocks() * 512;
        }
        if total > enough {
            return total;
        }
    }
    total
}
