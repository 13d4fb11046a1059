//! What a program can't see, write, call or leave behind its walls.

use std::cell::Cell;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use code_agent::sandbox::{Access, Policy, run_under};

use super::{TIME, World, intruder};

#[tokio::test]
async fn a_program_that_reads_sees_nothing_private() {
    for world in World::both() {
        let beside = world.folder.path().display().to_string();
        symlink(world.path("user/.ssh/id_rsa"), world.path("checkout/link")).unwrap();
        symlink(world.folder.path(), world.path("checkout/up")).unwrap();
        let host = std::process::id();
        for command in [
            format!("cat {beside}/user/.ssh/id_rsa"),
            format!("cat {beside}/another-slot/file"),
            "cat ../user/.ssh/id_rsa".to_owned(),
            "cat link".to_owned(),
            "cat up/another-slot/file".to_owned(),
            "ls ..".to_owned(),
            format!("ls {}", env!("CARGO_MANIFEST_DIR")),
            "cat /etc/shadow".to_owned(),
            "ls -R /root/.ssh".to_owned(),
            format!("cat /proc/{host}/environ"),
            "env | grep -i -e api_key -e token -e cargo_manifest".to_owned(),
            format!("cat /proc/{host}/root{beside}/another-slot/file"),
            format!("cat /proc/{host}/cwd/Cargo.toml"),
        ] {
            World::assert_refused(&world.run(&command).await, &command);
        }
        // Unless something there is shown, so that the way to it is there, too.
        let own = world.folder.path().to_owned();
        if !world.policy.readable.iter().chain([&own]).any(|path| path.starts_with("/home")) {
            World::assert_refused(&world.run("ls -R /home").await, "homes");
        }
        // It fails as soon as there is one that it can't read, so how it ends says nothing.
        let ran = world.run("grep -az CARGO_MANIFEST_DIR /proc/*/environ").await;
        assert!(!ran.output.contains("CARGO_MANIFEST_DIR="), "{ran:?}");
    }
}

#[tokio::test]
async fn a_program_that_writes_reaches_its_own_folders_alone() {
    for world in World::both() {
        let beside = world.folder.path().display().to_string();
        symlink(world.folder.path(), world.path("checkout/up")).unwrap();
        symlink(world.path("another-slot/file"), world.path("checkout/link")).unwrap();
        for command in [
            format!("echo x > {beside}/another-slot/file"),
            "echo x > link".to_owned(),
            "echo x > up/new".to_owned(),
            format!("rm {beside}/another-slot/file"),
            "mv up/another-slot up/gone".to_owned(),
            format!("ln {beside}/another-slot/file hard"),
            format!("truncate -s 0 {beside}/user/.ssh/id_rsa"),
            "echo x > /etc/hosts".to_owned(),
            "touch /usr/bin/x".to_owned(),
            "touch /new".to_owned(),
            "touch ~root/.cargo/bin/x".to_owned(),
            "mkdir /proc/x".to_owned(),
            "echo 1 > /proc/sys/vm/drop_caches".to_owned(),
        ] {
            World::assert_refused(&world.run(&command).await, &command);
        }
        assert_eq!(fs::read_to_string(world.path("another-slot/file")).unwrap(), "PRIVATE");
        assert_eq!(fs::read_to_string(world.path("user/.ssh/id_rsa")).unwrap(), "PRIVATE");
        assert!(!world.path("new").exists());
    }
    // What Landlock does not see is behind the mounts.
    let world = World::new(true);
    let file = world.path("another-slot/file");
    for command in ["chmod 777", "touch -d 1970-01-01", "chown 1:1"] {
        let command = format!("{command} {}", file.display());
        World::assert_refused(&world.run(&command).await, &command);
    }
}

#[tokio::test]
async fn a_program_that_calls_reaches_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    for world in World::both() {
        let docker = UnixListener::bind(world.path("docker.sock")).unwrap();
        docker.set_nonblocking(true).unwrap();
        for command in [
            intruder(&format!("tcp {}", listener.local_addr().unwrap())),
            intruder(&format!("udp {}", udp.local_addr().unwrap())),
            intruder(&format!("unix {}", world.path("docker.sock").display())),
            // Raw packets, and the way to a virtual machine's host.
            intruder(&format!("call {} 17 3 0", libc::SYS_socket)),
            intruder(&format!("call {} 40 1 0", libc::SYS_socket)),
        ] {
            World::assert_refused(&world.run(&command).await, &command);
        }
        assert!(docker.accept().is_err(), "nobody has called");
    }
    assert!(listener.accept().is_err(), "nobody has called");
    assert!(udp.recv(&mut [0; 8]).is_err(), "nothing has come");
    let world = World::new(true);
    let ran = world.run(&intruder("talk-to-itself")).await;
    assert_eq!(ran.output, "hello\n", "a test may talk to itself");
    let interfaces =
        world.run("tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route").await;
    assert_eq!(interfaces.output.trim(), "lo", "there is no way out");
}

#[tokio::test]
async fn no_program_leaves_its_walls() {
    let host = std::process::id();
    let call = |call: libc::c_long, arguments: &str| intruder(&format!("call {call} {arguments}"));
    let new_user = libc::CLONE_NEWUSER;
    for world in World::both() {
        // Each is refused by the filter, whatever it would have come to.
        for command in [
            call(libc::SYS_unshare, &new_user.to_string()),
            call(libc::SYS_clone, &format!("{} 0 0 0", new_user | libc::SIGCHLD)),
            call(libc::SYS_setns, "0 0"),
            call(libc::SYS_ptrace, "0 0 0 0"),
            call(libc::SYS_process_vm_readv, &format!("{host} 0 0 0")),
            call(libc::SYS_io_uring_setup, "8 0"),
            call(libc::SYS_bpf, "0 0 0"),
            call(libc::SYS_keyctl, "0 -1 0"),
            call(libc::SYS_userfaultfd, "0"),
            call(libc::SYS_perf_event_open, "0 0 -1 -1"),
            call(libc::SYS_syslog, "10 0 0"),
            call(libc::SYS_ioctl, &format!("0 {} 0", libc::TIOCSTI)),
            call(libc::SYS_socket, "17 3 0"),
            // Its watcher's limits and urgency, and the same of its whole user.
            call(libc::SYS_prlimit64, "1 7 0 0"),
            call(libc::SYS_prlimit64, &format!("{host} 7 0 0")),
            call(libc::SYS_sched_setscheduler, "1 5 0"),
            call(libc::SYS_setpriority, "0 1 19"),
            call(libc::SYS_setpriority, "2 0 19"),
        ] {
            let ran = world.run(&command).await;
            assert!(ran.output.contains("Operation not permitted"), "{command}: {ran:?}");
        }
        let ran = world.run("nice -n 5 true && ulimit -n 100 && fallocate -l 1M x").await;
        assert!(ran.output.contains("not supported"), "one may lower one's own: {ran:?}");
        for command in [
            "unshare --user --map-root-user true".to_owned(),
            "mount -t tmpfs none .".to_owned(),
            "umount /proc".to_owned(),
            "chroot . /bin/true".to_owned(),
            format!("nsenter --target {host} --mount true"),
            "su -c true".to_owned(),
        ] {
            let ran = world.run(&command).await;
            World::assert_refused(&ran, &command);
        }
        let ran = world.run("grep -e ^Cap -e ^NoNewPrivs -e ^Seccomp: /proc/self/status").await;
        let kept = ran
            .output
            .split_whitespace()
            .filter(|word| word.len() == 16 && !word.starts_with("Cap"));
        assert!(
            kept.clone().count() == 5 && kept.into_iter().all(|set| set == "0000000000000000"),
            "{ran:?}"
        );
        assert!(
            ran.output.contains("NoNewPrivs:\t1") && ran.output.contains("Seccomp:\t2"),
            "{ran:?}"
        );
    }
    // In a namespace of its own a program can't even name the others; elsewhere
    // Landlock keeps signals in, from Linux 6.12 on.
    let command = call(libc::SYS_kill, &format!("{host} 0"));
    World::assert_refused(&World::new(true).run(&command).await, &command);
    World::assert_refused(&World::new(false).run(&command).await, &command);
}

#[tokio::test]
async fn nothing_of_the_host_is_a_programs() {
    let call = |call: libc::c_long, arguments: &str| intruder(&format!("call {call} {arguments}"));
    // A file that the host was started with, which no flag closes.
    let inherited = fs::File::open("/etc/passwd").unwrap();
    // SAFETY: changes one flag of a file that lives.
    #[expect(unsafe_code, reason = "the standard library leaves no file open for children")]
    let kept =
        unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&inherited), libc::F_SETFD, 0) };
    assert_eq!(kept, 0);
    for world in World::both() {
        World::assert_refused(&world.run("echo x > /dev/tty").await, "the terminal");
        let ran = world.run("cut -d' ' -f6,7 /proc/self/stat").await;
        let numbers: Vec<&str> = ran.output.split_whitespace().collect();
        assert!(numbers.len() == 2 && numbers[0] != "0" && numbers[1] == "0", "{ran:?}");
        let ran = world.run("ls /proc/self/fd").await;
        let open = ran.output.lines().filter(|number| number.parse::<u32>().is_ok()).count();
        assert!(open <= 4, "its three and the one that lists: {ran:?}");
        World::assert_refused(&world.run("ls /dev/pts/ | grep -q [0-9]").await, "terminals");
        let ran = world.run("cat /proc/self/oom_score_adj").await;
        assert_eq!(ran.output, "1000\n", "it is ended before the host");
        // The same system calls under the numbers of the x32 interface.
        let ran = world.run(&call(libc::SYS_getpid | 0x4000_0000, "")).await;
        assert!(ran.output.contains("Operation not permitted"), "{ran:?}");
        // What it prints is not taken for the helper's word.
        let ran = world.run("echo '{\"NotBuilt\":\"forged\"}'; exit 125").await;
        assert_eq!(ran.exit_code, Some(125));
        let ran = world.run("echo '{\"NotBuilt\":\"forged\"}' >&0; kill -KILL 0").await;
        assert_eq!(ran.exit_code, Some(128 + 9), "the helper is not in its group");
    }
    let shared = World::new(false);
    let command = "echo x > /dev/shm/code-agent-test";
    World::assert_refused(&shared.run(command).await, command);
    let command = call(libc::SYS_shmget, "0 4096 512");
    World::assert_refused(&shared.run(&command).await, &command);
    // Everybody whom it may signal is everybody in there: this test goes on.
    for world in World::both() {
        let ran = world.run("sleep 1000 & kill -KILL -1; wait; echo alone").await;
        assert_eq!(ran.output.lines().last(), Some("alone"), "{ran:?}");
    }
}

#[tokio::test]
async fn links_in_its_folders_lead_a_program_nowhere_later() {
    // What the user shows lies in the machine's own `/tmp`, where the command
    // sees its own.
    let shown = tempfile::tempdir().unwrap();
    let file = shown.path().join("file");
    fs::write(&file, "SHOWN").unwrap();
    let name = shown.path().display();
    let before = World::new(true);
    let lay = "rm -rf /tmp/home ~; ln -s / /tmp/root";
    before.run(&format!("{lay}; ln -s /dev/shm {name}; ln -s / ~/.cargo")).await;
    let access = Access { readable: vec![shown.path().to_owned()], ..Access::default() };
    let World { folder, .. } = before;
    let world = World::of(folder, access, true);
    let write = format!("echo x > {name}/file; echo x > /dev/shm/file; rm {name}/file");
    let writes = async || {
        let done = run_under(&world.sandbox, &world.policy, world.job(&write, TIME)).await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "SHOWN");
        done
    };
    // That it can't be built is an answer, too.
    let _ = writes().await;
    // Two commands of one checkout run side by side: one lays links while the
    // other's root is built. What is shown is not in its own way.
    let mut flipper = world.policy.clone();
    flipper.readable.retain(|path| path != shown.path());
    let slowly = format!(
        "while true; do rm -rf {name}; ln -s /dev/shm {name} && rm -f {name} && mkdir {name} && \
         echo flipped; done"
    );
    let fast = intruder(&format!("flip {name} {name}.link"));
    let fast = format!("mkdir {name}; ln -s /dev/shm {name}.link; {fast}");
    // How long one takes to begin is the machine's business.
    let times = [3, 12, 48, 192].map(Duration::from_secs);
    for flip in [slowly, fast] {
        let mut flipped = false;
        for time in times {
            world.clear_temporary();
            flipped = flipped || flips(&world, &flipper, (&flip, time), &writes).await;
        }
        assert!(flipped, "nothing has changed places: {flip}");
    }
    // Where no link is in its way, it is built and comes to write.
    world.clear_temporary();
    writes().await.unwrap();
}

/// Whether things change places while a command of another policy flips them and
/// `meanwhile` is done again and again.
async fn flips<T>(
    world: &World,
    flipper: &Policy,
    (flip, time): (&str, Duration),
    meanwhile: impl AsyncFn() -> T,
) -> bool {
    let over = Cell::new(false);
    let flipping = async {
        let ran = run_under(&world.sandbox, flipper, world.job(flip, time)).await.unwrap();
        over.set(true);
        ran
    };
    let doing = async {
        while !over.get() {
            meanwhile().await;
        }
    };
    let (ran, ()) = tokio::join!(flipping, doing);
    assert!(ran.timed_out, "{ran:?}");
    ran.output.contains("flipped")
}
