//! A root of its own, out of what the command may see: the machine's folders
//! are bound into it, read-only but for those that it may write, and the old
//! root goes away.
//!
//! Part of that root is the command's temporary folder, where an earlier command,
//! or one that runs beside this one, may lay links at any time. So a place in the
//! root is looked up inside the root alone, and what is bound has its flags before
//! it can be reached: wherever a link leads it, nothing becomes writable.

#![expect(clippy::disallowed_methods, reason = "a root in the making is no checkout")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, mount_remount, move_mount, open_tree, unmount,
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
/// Terminals of the command's own, for programs that want one.
const TERMINALS: &std::ffi::CStr = c"newinstance,ptmxmode=0666,mode=0620";

/// What may be done with what is bound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
    /// As a device: the flags stay as they are.
    Device,
}

/// Builds the root and goes there. Afterwards the machine's own is gone.
pub(super) fn enter_root(policy: &Policy) -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(doing("detach the mounts"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", &policy.root, "tmpfs", flags, c"mode=0755").map_err(doing("mount a root"))?;
    let root = Root::open(&policy.root)?;
    // First, for what is shown may lie in the machine's own `/tmp`.
    root.bind(&policy.folders.temporary, Path::new("/tmp"), Use::Write)?;
    root.make_devices()?;
    for path in &policy.readable {
        root.show(path)?;
    }
    root.make_processes()?;
    for path in policy.writable() {
        root.bind(path, path, Use::Write)?;
    }
    go_there(&policy.root)
}

/// A root in the making.
struct Root {
    path: PathBuf,
    folder: OwnedFd,
}

impl Root {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            rustix::fs::open(path, flags, Mode::empty()).map_err(doing("open the root"))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// Shows a path as it is. A link stays a link: where it leads is shown if
    /// that can be seen too.
    fn show(&self, path: &Path) -> io::Result<()> {
        let Ok(link) = fs::read_link(path) else { return self.bind(path, path, Use::Read) };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        match rustix::fs::symlinkat(link, self.make_folder(parent, Use::Read)?, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(doing(format!("link {}", path.display()))(error)),
        }
    }

    /// Puts what the machine has at `path` to `target`, with all that is
    /// mounted below it.
    fn bind(&self, path: &Path, target: &Path, kind: Use) -> io::Result<()> {
        let place = if path.is_dir() {
            self.make_folder(target, kind)?
        } else {
            self.make_file(target, kind)?
        };
        let bound = copy_mounts(path)
            .and_then(|tree| set_flags(&tree, kind).map(|()| tree))
            .map_err(doing(format!("bind {}", path.display())))?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&bound, "", &place, "", flags).map_err(doing(format!("show {}", path.display())))
    }

    /// Finds what lies at a path of the new root, wherever its links lead inside.
    /// What may be written stays where it is: by a link it could come to lie over
    /// what the helper itself relies on.
    fn find(&self, path: &Path, kind: Use) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        resolve.set(ResolveFlags::NO_SYMLINKS, kind == Use::Write);
        openat2(&self.folder, path, flags, Mode::empty(), resolve)
    }

    fn make_folder(&self, path: &Path, kind: Use) -> io::Result<OwnedFd> {
        let failed = |error| doing(format!("make the folder {}", path.display()))(error);
        match self.find(path, kind) {
            Err(Errno::NOENT) => {}
            found => return found.map_err(failed),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(Errno::INVAL));
        };
        match mkdirat(self.make_folder(parent, kind)?, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.find(path, kind).map_err(failed),
            Err(error) => Err(failed(error)),
        }
    }

    fn make_file(&self, path: &Path, kind: Use) -> io::Result<OwnedFd> {
        let failed = |error| doing(format!("make the file {}", path.display()))(error);
        match self.find(path, kind) {
            Err(Errno::NOENT) => {}
            found => return found.map_err(failed),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(Errno::INVAL));
        };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = rustix::fs::openat(
            self.make_folder(parent, kind)?,
            name,
            flags,
            Mode::from_raw_mode(0o600),
        );
        made.map(drop).map_err(failed)?;
        self.find(path, kind).map_err(failed)
    }

    fn make_devices(&self) -> io::Result<()> {
        for name in DEVICES {
            let device = Path::new("/dev").join(name);
            if device.exists() {
                self.bind(&device, &device, Use::Device)?;
            }
        }
        let folder = self.path.join("dev");
        for (name, target) in DEVICE_LINKS {
            symlink(target, folder.join(name)).map_err(doing(format!("link /dev/{name}")))?;
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let shared = folder.join("shm");
        fs::create_dir(&shared).map_err(doing("make /dev/shm"))?;
        mount("tmpfs", &shared, "tmpfs", flags, SHARED_MEMORY).map_err(doing("mount /dev/shm"))?;
        let terminals = folder.join("pts");
        fs::create_dir(&terminals).map_err(doing("make /dev/pts"))?;
        symlink("pts/ptmx", folder.join("ptmx")).map_err(doing("link /dev/ptmx"))?;
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        // A kernel without them still builds and tests.
        let _ = mount("devpts", &terminals, "devpts", flags, TERMINALS);
        Ok(())
    }

    /// Where the machine's `/proc` has covers over parts of it, as in containers,
    /// no new one is allowed: then the machine's own is shown.
    fn make_processes(&self) -> io::Result<()> {
        let folder = self.path.join("proc");
        fs::create_dir(&folder).map_err(doing("make /proc"))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        match mount("proc", &folder, "proc", flags, None) {
            Ok(()) => Ok(()),
            // The next stage has to write there who it is; Landlock lets the
            // command only read.
            Err(_) => self.bind(Path::new("/proc"), Path::new("/proc"), Use::Write),
        }
    }
}

/// A copy of the mounts at a path and below, which lie nowhere yet.
fn copy_mounts(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).map_err(Into::into)
}

/// Gives all of these mounts the flags that their use asks for.
#[expect(unsafe_code, reason = "no library has mount_setattr yet")]
fn set_flags(tree: &impl AsFd, kind: Use) -> io::Result<()> {
    let flags = match kind {
        Use::Device => return Ok(()),
        Use::Write => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        Use::Read => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_RDONLY,
    };
    let wanted = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let recursive = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path ends with a NUL, and the structure lives and has the size
    // that is named.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            recursive,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
