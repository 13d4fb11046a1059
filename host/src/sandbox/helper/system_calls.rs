//! System calls that no build and no test needs, and that sandboxes have been
//! left by: refused by seccomp.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

use crate::sandbox::Policy;

/// Refused whatever their arguments are.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Memory, counters and messages that all processes of a user share.
const SHARED: [libc::c_long; 13] = [
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmget,
];

/// One process, for ioprio_set(2); no library names it.
const IOPRIO_WHO_PROCESS: u64 = 1;

/// Flags of clone that make namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Restricts this process and all that it starts.
pub(super) fn restrict(policy: &Policy) -> Result<(), Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let flags = NAMESPACES.iter().map(|flag| {
        let flag = u64::from(flag.unsigned_abs());
        rule(vec![argument(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?])
    });
    rules.insert(libc::SYS_clone, flags.collect::<Result<_, _>>()?);
    // Puts letters into the terminal, as if the user had typed them.
    let (length, put_in) = (SeccompCmpArgLen::Dword, libc::TIOCSTI);
    let typed = rule(vec![argument(1, length, SeccompCmpOp::Eq, put_in)?])?;
    rules.insert(libc::SYS_ioctl, vec![typed]);
    rules.insert(libc::SYS_socket, sockets(policy)?);
    if !has_named_sockets(policy) {
        // Such a pair can send to any socket by its name.
        let kinds = [libc::SOCK_DGRAM, libc::SOCK_RAW].map(|kind| u64::from(kind.unsigned_abs()));
        let refused = kinds.into_iter().map(|kind| {
            rule(vec![argument(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(0xf), kind)?])
        });
        rules.insert(libc::SYS_socketpair, refused.collect::<Result<_, _>>()?);
    }
    rules.extend(about_others(policy)?);
    apply(rules, libc::EPERM)?;
    // Takes the whole disk in one step; callers write instead.
    apply(BTreeMap::from([(libc::SYS_fallocate, Vec::new())]), libc::EOPNOTSUPP)?;
    // What flags it has can't be seen, and callers fall back to clone.
    apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
    #[cfg(target_arch = "x86_64")]
    apply_filter(&refuse_x32())?;
    Ok(())
}

/// The kernel may know each system call by a second number, with this bit set
/// (x32), which the rules by number don't cover. Four instructions: loads the
/// number, refuses it from that bit on, allows the rest.
#[cfg(target_arch = "x86_64")]
fn refuse_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let instruction =
        |code: u32, jt: u8, jf: u8, k: u32| sock_filter { code: code as u16, jt, jf, k };
    vec![
        // The number is the first field of what a filter sees (seccomp(2)).
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs(),
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Refuses to change the limits and the urgency of others: of the helper, or of
/// all processes of the user, and to share with those.
fn about_others(
    policy: &Policy,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, Box<dyn std::error::Error>> {
    let not_itself = || rule(vec![is_not(0, 0)?]);
    let mut rules = BTreeMap::new();
    for call in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
    ] {
        rules.insert(call, vec![not_itself()?]);
    }
    // Here the kind of what is meant comes first.
    let one_process = u64::from(libc::PRIO_PROCESS);
    for (call, kind) in
        [(libc::SYS_setpriority, one_process), (libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS)]
    {
        rules.insert(call, vec![rule(vec![is_not(0, kind)?])?, rule(vec![is_not(1, 0)?])?]);
    }
    if !policy.namespaces {
        rules.extend(SHARED.iter().map(|call| (*call, Vec::new())));
        rules.insert(libc::SYS_sched_setaffinity, vec![not_itself()?]);
    }
    Ok(rules)
}

/// In a network of its own a command may talk to itself; beside the machine's,
/// sockets of files and names are not for it.
fn has_named_sockets(policy: &Policy) -> bool {
    policy.namespaces && !policy.network
}

/// Which sockets are refused.
fn sockets(policy: &Policy) -> Result<Vec<SeccompRule>, Box<dyn std::error::Error>> {
    let internet = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let allowed: Vec<libc::c_int> = match (policy.namespaces, policy.network) {
        (true, false) => internet.into_iter().chain([libc::AF_UNIX]).collect(),
        (_, true) => internet.into(),
        (false, false) => return Ok(Vec::new()),
    };
    let other_than = |family: &libc::c_int| is_not(0, u64::from(family.unsigned_abs()));
    let others = allowed.iter().map(other_than).collect::<Result<_, _>>()?;
    Ok(vec![rule(others)?])
}

fn is_not(index: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    argument(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn argument(
    index: u8,
    length: SeccompCmpArgLen,
    operation: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, length, operation, value)
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions)
}

fn apply(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: libc::c_int,
) -> Result<(), Box<dyn std::error::Error>> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|error| io::Error::other(format!("no filter for this processor: {error}")))?;
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)?;
    Ok(())
}
