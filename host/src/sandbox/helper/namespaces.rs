//! New namespaces: users, processes, mounts, messages between processes, and
//! the network unless that is allowed.

#![expect(clippy::disallowed_methods, reason = "files of the kernel")]

use std::fs;
use std::io;

use rustix::process::{getgid, getuid};
use rustix::thread::UnshareFlags;

use super::doing;

/// Leaves the machine's namespaces; processes that are started from now on
/// live in new ones, as their root.
pub(super) fn leave(network: bool) -> io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    if !network {
        flags |= UnshareFlags::NEWNET;
    }
    unshare(flags).map_err(doing("make namespaces"))?;
    map("0", user, group)
}

/// Becomes the user outside again, in a user namespace without rights over the
/// others: programs ask who they are, and root is not what they expect.
pub(super) fn become_user(user: u32, group: u32) -> io::Result<()> {
    unshare(UnshareFlags::NEWUSER).map_err(doing("make a namespace of users"))?;
    write("setgroups", "deny")?;
    write("uid_map", &format!("{user} 0 1"))?;
    write("gid_map", &format!("{group} 0 1"))
}

fn map(inside: &str, user: u32, group: u32) -> io::Result<()> {
    write("setgroups", "deny")?;
    write("uid_map", &format!("{inside} {user} 1"))?;
    write("gid_map", &format!("{inside} {group} 1"))
}

fn write(file: &str, text: &str) -> io::Result<()> {
    let path = format!("/proc/self/{file}");
    fs::write(&path, text).map_err(doing(format!("write {path}")))
}

#[expect(unsafe_code, reason = "what is unsafe about it is `FILES` alone, which nobody asks for")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the table of open files stays shared.
    unsafe { rustix::thread::unshare_unsafe(flags - UnshareFlags::FILES) }.map_err(Into::into)
}
