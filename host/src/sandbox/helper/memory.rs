//! How much memory a command's processes hold together: a control group counts
//! that better, but most users' sessions can't make one.

#![expect(clippy::disallowed_methods, reason = "files of the kernel")]

use std::fs;
use std::path::Path;
use std::time::Duration;

/// How often they are looked at.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// Bytes of memory that no file stands behind, of all processes that descend
/// from this one. What ends meanwhile holds nothing.
pub(super) fn held_by_descendants() -> u64 {
    let mut waiting = children("self");
    let mut pages = 0;
    while let Some(process) = waiting.pop() {
        pages += private_pages(&process);
        waiting.extend(children(&process));
    }
    pages * rustix::param::page_size() as u64
}

fn children(process: &str) -> Vec<String> {
    let Ok(tasks) = fs::read_dir(Path::new("/proc").join(process).join("task")) else {
        return Vec::new();
    };
    let lists =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What is resident without what is shared (`statm` in proc(5)).
fn private_pages(process: &str) -> u64 {
    let table = fs::read_to_string(Path::new("/proc").join(process).join("statm"));
    let table = table.unwrap_or_default();
    let mut numbers = table.split(' ').skip(1).map(|number| number.parse::<u64>().unwrap_or(0));
    let (resident, shared) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    resident.saturating_sub(shared)
}
