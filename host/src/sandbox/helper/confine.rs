//! The last stage: takes on what binds a process and all that it starts, and
//! becomes the shell that runs the command.

#![expect(clippy::disallowed_methods, reason = "a device is no checkout")]

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, chdir, setrlimit};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};

use super::{doing, namespaces, system_calls};
use crate::sandbox::Policy;

/// Older ones let a command cut files to nothing that it may only read.
const OLDEST_LANDLOCK: ABI = ABI::V3;
/// The newest whose rules are known here.
const NEWEST_LANDLOCK: ABI = ABI::V6;

pub(super) fn run(policy: &Policy, command_line: &str) -> io::Result<ExitCode> {
    // The host's lifeline is not the command's.
    let nothing = std::fs::File::open("/dev/null").map_err(doing("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&nothing).map_err(doing("close the input"))?;
    if policy.namespaces && policy.user != 0 {
        namespaces::become_user(policy.user, policy.group)?;
    }
    limit(policy)?;
    restrict_files(policy)?;
    drop_capabilities()?;
    set_no_new_privs(true).map_err(doing("give up privileges"))?;
    chdir(&policy.folder).map_err(doing("enter the checkout"))?;
    system_calls::restrict(policy).map_err(doing("restrict system calls"))?;
    // Returns only where it fails.
    Err(Command::new("/bin/sh").args(["-c", command_line]).exec())
}

fn limit(policy: &Policy) -> io::Result<()> {
    let limits = policy.limits;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.processes),
        (Resource::Data, limits.memory_bytes),
    ] {
        // A limit that is lower already stays.
        let now = rustix::process::getrlimit(resource).maximum;
        let most = now.map_or(most, |now| now.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(doing("set limits"))?;
    }
    Ok(())
}

/// Landlock's rules: what they don't name can't be opened, whatever is mounted.
fn restrict_files(policy: &Policy) -> io::Result<()> {
    let reads = AccessFs::from_read(NEWEST_LANDLOCK);
    let all = AccessFs::from_all(NEWEST_LANDLOCK);
    let temporary = if policy.namespaces { Path::new("/tmp") } else { &policy.temporary };
    let mut readable: Vec<PathBuf> = policy.readable.clone();
    readable.extend(["/proc", "/dev"].map(PathBuf::from));
    let writable = policy.writable.iter().map(PathBuf::as_path);
    let writable = writable.chain([policy.folder.as_path(), temporary, Path::new("/dev/shm")]);
    let devices =
        ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/random", "/dev/urandom"];
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(OLDEST_LANDLOCK))
        .and_then(|ruleset| {
            ruleset
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(all)?
                .scope(Scope::from_all(NEWEST_LANDLOCK))?
                .create()
        })
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(readable, reads)))
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(writable, all)))
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(devices, all)))
        .map_err(doing("make Landlock's rules"))?;
    ruleset.restrict_self().map(drop).map_err(doing("take on Landlock's rules"))
}

/// Root in a namespace of users has all of them there, and programs that root
/// starts get what the bounding set holds.
fn drop_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // Newer than this kernel, or no right to drop what is not there.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(doing("drop capabilities")(error)),
        }
    }
    Ok(())
}
