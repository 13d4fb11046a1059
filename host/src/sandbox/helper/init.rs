//! The first process of a command's world: starts it, waits for it, watches over
//! its memory and takes what it leaves running with it.

#![expect(clippy::disallowed_methods, reason = "files of the kernel")]

use std::fs;
use std::io;
use std::process::ExitCode;
use std::thread;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process_group, set_child_subreaper,
    test_kill_process, wait,
};

use super::{Lifeline, Word, code, confine, doing, fork, memory, mounts};
use crate::sandbox::Policy;

/// How a world ends whose host has gone away.
const ABANDONED: u8 = 143;

pub(super) fn run(
    policy: &Policy,
    command_line: &str,
    lifeline: &Lifeline,
) -> io::Result<ExitCode> {
    if policy.namespaces {
        mounts::enter_root(policy)?;
        limit_processes(policy.limits.processes);
        if !policy.network {
            start_loopback()?;
        }
    } else {
        // Whoever loses its parent becomes a child of this process.
        set_child_subreaper(Some(getpid())).map_err(doing("adopt orphans"))?;
        keep_signals_in()?;
    }
    let (namespaces, most) = (policy.namespaces, policy.limits.memory_bytes);
    let watched = lifeline.try_clone()?;
    let Some(child) = fork()? else { return confine::run(policy, command_line, lifeline) };
    let watching = thread::Builder::new().spawn(move || {
        watch(&watched, most);
        end_all(namespaces);
        std::process::exit(ABANDONED.into());
    });
    let code = watching.map_err(doing("watch over the command")).and_then(|_| wait_for(child));
    end_all(namespaces);
    code.map(ExitCode::from)
}

/// Returns once the host lets go, or the command's processes hold too much.
fn watch(lifeline: &Lifeline, most: u64) {
    while lifeline.holds(memory::PAUSE) {
        let held = memory::held_by_descendants();
        if held > most {
            let (held, most) = (held >> 20, most >> 20);
            let sentence =
                format!("its processes held {held} MiB of memory together, at most {most} may be");
            return lifeline.say(&Word::Stopped(sentence));
        }
    }
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

/// Without namespaces, signals of this process and of all that it starts reach
/// nobody else (Landlock, Linux 6.12). This is what lets it end all of them at
/// once below, and keeps the command from ending the host.
fn keep_signals_in() -> io::Result<()> {
    confine::scope_signals()?;
    let host = getppid().ok_or_else(|| io::Error::other("the helper has lost its host"))?;
    match test_kill_process(host) {
        Err(Errno::PERM) => Ok(()),
        _ => Err(io::Error::other("signals can't be kept in")),
    }
}

/// In a namespace of processes the kernel ends all others with the first one.
/// Elsewhere all that this process may signal are ended in one step, so that
/// none can start another meanwhile.
fn end_all(namespaces: bool) {
    if namespaces {
        return;
    }
    loop {
        // The group of process 1 stands for all processes (kill(2)).
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Since Linux 6.14 each namespace of processes has a bound of its own, which
/// holds for root too. Elsewhere `RLIMIT_NPROC` has to do.
fn limit_processes(most: u64) {
    if !has_own_bound() {
        return;
    }
    // The first ids are taken by this process and the next. Without the bound
    // the others have to do.
    let _ = fs::write("/proc/sys/kernel/pid_max", most.max(301).to_string());
}

/// Before, the file is the whole machine's, and root's helper may write it.
fn has_own_bound() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 14)
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
