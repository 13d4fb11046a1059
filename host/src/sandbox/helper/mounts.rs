//! A root of its own, out of what the command may see: the machine's folders
//! are bound into it, read-only but for those that it may write, and the old
//! root goes away.

#![expect(clippy::disallowed_methods, reason = "a root in the making is no checkout")]

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::doing;
use crate::sandbox::Policy;

/// Devices that programs need and that give nothing away.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];
/// What `/dev` usually links to.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
/// Bytes of the memory that programs share by files.
const SHARED_MEMORY: &std::ffi::CStr = c"size=1g,mode=1777";

/// Builds the root and goes there. Afterwards the machine's own is gone.
pub(super) fn enter_root(policy: &Policy) -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(doing("detach the mounts"))?;
    let root = &policy.root;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", root, "tmpfs", flags, c"mode=0755").map_err(doing("mount a root"))?;
    // First, for what is shown may lie in the machine's own `/tmp`.
    bind(&policy.temporary, &inside(root, Path::new("/tmp")))?;
    let mut shown = Vec::with_capacity(policy.readable.len());
    for path in &policy.readable {
        shown.extend(show(root, path)?);
    }
    shown.extend(make_processes(root)?);
    make_read_only(&shown)?;
    make_devices(root)?;
    for path in policy.writable.iter().chain([&policy.folder]) {
        bind(path, &inside(root, path))?;
    }
    go_there(root)
}

/// Shows a path as it is, and returns where. A link stays a link: where it leads
/// is shown if that can be seen too.
fn show(root: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    let target = inside(root, path);
    if let Ok(link) = fs::read_link(path) {
        make_parent(&target)?;
        return match symlink(link, &target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(doing(format!("link {}", path.display()))(error))
            }
            _ => Ok(None),
        };
    }
    bind(path, &target)?;
    Ok(Some(target))
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn make_parent(target: &Path) -> io::Result<()> {
    let parent = target.parent().unwrap_or(target);
    fs::create_dir_all(parent).map_err(doing(format!("make {}", parent.display())))
}

fn bind(path: &Path, target: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::create_dir_all(target).map_err(doing(format!("make {}", target.display())))?;
    } else if !target.exists() {
        make_parent(target)?;
        fs::write(target, "").map_err(doing(format!("make {}", target.display())))?;
    }
    mount_bind_recursive(path, target).map_err(doing(format!("bind {}", path.display())))
}

/// Makes these read-only, with what is mounted below, for that came along. Who
/// is not the machine's root can't take flags off a mount, so those that each
/// has are named again.
fn make_read_only(shown: &[PathBuf]) -> io::Result<()> {
    for point in mount_points()? {
        if !shown.iter().any(|target| point.path.starts_with(target)) {
            continue;
        }
        let flags = point.flags | MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
        mount_remount(&point.path, flags, c"")
            .map_err(doing(format!("make {} read-only", point.path.display())))?;
    }
    Ok(())
}

struct MountPoint {
    path: PathBuf,
    flags: MountFlags,
}

/// All mounts, from `/proc/self/mountinfo` (proc(5)).
fn mount_points() -> io::Result<Vec<MountPoint>> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(doing("list the mounts"))?;
    let points = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let path = PathBuf::from(unescaped(fields.next()?));
        Some(MountPoint { path, flags: flags(fields.next()?) })
    });
    Ok(points.collect())
}

fn flags(options: &str) -> MountFlags {
    let known = |option| match option {
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        _ => MountFlags::empty(),
    };
    options.split(',').map(known).collect()
}

/// Spaces, tabs, line ends and backslashes stand there in octal.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (escaped, letter)| path.replace(escaped, letter))
}

fn make_devices(root: &Path) -> io::Result<()> {
    let folder = root.join("dev");
    for name in DEVICES {
        let device = Path::new("/dev").join(name);
        if device.exists() {
            bind(&device, &folder.join(name))?;
        }
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, folder.join(name)).map_err(doing(format!("link /dev/{name}")))?;
    }
    let shared = folder.join("shm");
    fs::create_dir_all(&shared).map_err(doing("make /dev/shm"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", &shared, "tmpfs", flags, SHARED_MEMORY).map_err(doing("mount /dev/shm"))
}

/// Where the machine's `/proc` has covers over parts of it, as in containers,
/// no new one is allowed: then the machine's own is shown, read-only.
fn make_processes(root: &Path) -> io::Result<Option<PathBuf>> {
    let folder = root.join("proc");
    fs::create_dir_all(&folder).map_err(doing("make /proc"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("proc", &folder, "proc", flags, None) {
        Ok(()) => Ok(None),
        Err(_) => show(root, Path::new("/proc")),
    }
}

fn go_there(root: &Path) -> io::Result<()> {
    chdir(root).map_err(doing("enter the root"))?;
    // The old root lands on top of the new one and is taken off again.
    pivot_root(".", ".").map_err(doing("change the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(doing("leave the old root"))?;
    chdir("/").map_err(doing("enter the root"))?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/", flags, c"").map_err(doing("make the root read-only"))
}
