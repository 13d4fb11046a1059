//! The first process of a command's world: starts it, waits for it and takes
//! what it leaves running with it.

#![expect(clippy::disallowed_methods, reason = "files of the kernel")]

use std::fs;
use std::io::{self, Read};
use std::process::ExitCode;
use std::thread;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

use super::{code, confine, doing, fork, mounts};
use crate::sandbox::Policy;

/// How a world ends whose host has gone away.
const ABANDONED: u8 = 143;

pub(super) fn run(policy: &Policy, command_line: &str) -> io::Result<ExitCode> {
    if policy.namespaces {
        mounts::enter_root(policy)?;
        limit_processes(policy.limits.processes);
        if !policy.network {
            start_loopback()?;
        }
    } else {
        // Whoever loses its parent becomes a child of this process.
        set_child_subreaper(Some(getpid())).map_err(doing("adopt orphans"))?;
    }
    let Some(child) = fork()? else { return confine::run(policy, command_line) };
    let namespaces = policy.namespaces;
    thread::spawn(move || {
        // Nothing is ever written to it: it closes when the host lets go.
        let _ = io::stdin().read(&mut [0]);
        end_all(namespaces);
        std::process::exit(ABANDONED.into());
    });
    let code = wait_for(child)?;
    end_all(namespaces);
    Ok(ExitCode::from(code))
}

/// Waits for one child, and for orphans meanwhile.
fn wait_for(child: Pid) -> io::Result<u8> {
    loop {
        let (ended, status) = match wait(WaitOptions::empty()) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(Errno::INTR) => continue,
            // The other thread has ended them all.
            Err(Errno::CHILD) => return Ok(ABANDONED),
            Err(error) => return Err(error.into()),
        };
        if ended == child {
            return Ok(code(status));
        }
    }
}

/// In a namespace of processes the kernel ends all others with the first one.
/// Elsewhere they are ended one by one, until a round finds nobody.
fn end_all(namespaces: bool) {
    if namespaces {
        return;
    }
    while let Some(children) = children() {
        for child in children {
            // One that has ended meanwhile needs no signal.
            let _ = kill_process(child, Signal::KILL);
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}

/// This process's children; none where there is none.
fn children() -> Option<Vec<Pid>> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let lists =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let found: Vec<Pid> = lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>()
        })
        .filter_map(Pid::from_raw)
        .collect();
    (!found.is_empty()).then_some(found)
}

/// Since Linux 6.14 each namespace of processes has a bound of its own, which
/// holds for root too. Elsewhere `RLIMIT_NPROC` has to do.
fn limit_processes(most: u64) {
    // The first ids are taken by this process and the next.
    let _ = fs::write("/proc/sys/kernel/pid_max", most.max(301).to_string());
}

/// Sets the interface with index 1 up: a netlink message RTM_NEWLINK with a
/// header of 16 bytes and an `ifinfomsg` of 16 (rtnetlink(7)).
fn start_loopback() -> io::Result<()> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const IFF_UP: u32 = 1;
    const LOOPBACK: i32 = 1;
    let mut message = Vec::with_capacity(LENGTH as usize);
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // Number of the message, and who it is from: the kernel fills that in.
    message.extend([0; 8]);
    // Family and type: any.
    message.extend([0; 4]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .map_err(doing("open a socket to the kernel"))?;
    send(&kernel, &message, SendFlags::empty()).map_err(doing("start the loopback"))?;
    Ok(())
}
