//! The last stage: takes on what binds a process and all that it starts, and
//! becomes the shell that runs the command.

#![expect(clippy::disallowed_methods, reason = "the command's home is no checkout")]

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, chdir, setrlimit, setsid};
use rustix::thread::{
    CapabilitySet, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_no_new_privs,
};

use super::{Lifeline, Word, doing, namespaces, system_calls};
use crate::sandbox::Policy;

/// Older ones let a command cut files to nothing that it may only read.
const OLDEST_LANDLOCK: ABI = ABI::V3;
/// The newest whose rules are known here.
const NEWEST_LANDLOCK: ABI = ABI::V6;

pub(super) fn run(
    policy: &Policy,
    command_line: &str,
    lifeline: &Lifeline,
) -> io::Result<ExitCode> {
    // What it sends to its own group does not reach the helper.
    setsid().map_err(doing("make a session"))?;
    // Whoever watches over it goes later. It is only advice.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    if policy.namespaces && policy.user != 0 {
        namespaces::become_user(policy.user, policy.group)?;
    }
    limit(policy)?;
    restrict_files(policy)?;
    drop_capabilities()?;
    set_no_new_privs(true).map_err(doing("give up privileges"))?;
    make_home(policy);
    chdir(&policy.folders.checkout).map_err(doing("enter the checkout"))?;
    system_calls::restrict(policy).map_err(doing("restrict system calls"))?;
    lifeline.say(&Word::Began);
    // Returns only where it fails.
    Err(Command::new("/bin/sh").args(["-c", command_line]).exec())
}

fn limit(policy: &Policy) -> io::Result<()> {
    let limits = policy.limits;
    for (resource, most) in [
        // At 1 the kernel leaves out also the dumps that it hands to a program of
        // the machine; at 0 it does not (core(5)).
        (Resource::Core, 1),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.processes),
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
    let temporary = policy.seen_temporary();
    let mut readable: Vec<PathBuf> = policy.readable.clone();
    readable.push("/proc".into());
    // Elsewhere these are the machine's own: terminals, cameras, others' memory.
    let own_devices: &[&str] =
        if policy.namespaces { &["/dev/shm", "/dev/pts", "/dev/tty"] } else { &[] };
    if policy.namespaces {
        readable.push("/dev".into());
    }
    let writable = policy.writable().map(PathBuf::as_path).chain([temporary]);
    let writable = writable.chain(own_devices.iter().map(Path::new));
    let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
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

/// Takes on the rule that signals reach nobody who has not taken it on as well.
/// Any set of rules forbids to move files between folders (landlock(7)), so this
/// one allows it everywhere.
pub(super) fn scope_signals() -> io::Result<()> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::Signal)
        .and_then(|ruleset| ruleset.handle_access(AccessFs::Refer))
        .and_then(|ruleset| ruleset.create())
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(["/"], AccessFs::Refer)))
        .map_err(doing("keep signals in, which takes Linux 6.12"))?;
    ruleset.restrict_self().map(drop).map_err(doing("keep signals in"))
}

/// What tools expect in a home, made with the command's own rights: an earlier
/// one may have laid anything there. Without it the tools complain themselves.
fn make_home(policy: &Policy) {
    let Some(config) = &policy.cargo_config else { return };
    let folder = policy.folders.home.join(".cargo");
    let _ = std::fs::create_dir(&folder);
    let _ = std::os::unix::fs::symlink(config, folder.join("config.toml"));
}

/// Root in a namespace of users has all of them there, and programs that root
/// starts get what the bounding set holds.
fn drop_capabilities() -> io::Result<()> {
    clear_ambient_capability_set().map_err(doing("drop capabilities"))?;
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // Newer than this kernel, or no right to drop what is not there.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(doing("drop capabilities")(error)),
        }
    }
    Ok(())
}
