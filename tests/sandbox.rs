//! Commands behind their walls, by real programs: what has to fail fails, what
//! developers do works, and the host goes on.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use code_agent::sandbox::{
    Abilities, Access, Folders, Job, Policy, Ran, Sandbox, probe, run_under,
};
use tempfile::TempDir;

/// Far longer than any command here takes.
const TIME: Duration = Duration::from_secs(120);

/// A machine with a checkout, a temporary folder, and things beside them that
/// are nobody's business.
struct World {
    folder: TempDir,
    sandbox: Sandbox,
    policy: Policy,
}

impl World {
    fn new(namespaces: bool) -> Self {
        Self::with(Access::default(), namespaces)
    }

    fn with(access: Access, namespaces: bool) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self::of(folder, access, namespaces)
    }

    fn of(folder: TempDir, mut access: Access, namespaces: bool) -> Self {
        access.readable.push(programs());
        for name in ["user/.ssh", "another-slot"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("user/.ssh/id_rsa"), "PRIVATE").unwrap();
        fs::write(folder.path().join("another-slot/file"), "PRIVATE").unwrap();
        let sandbox = Sandbox {
            helper: PathBuf::from(env!("CARGO_BIN_EXE_code-agent")),
            access,
            own_caches: false,
            abilities: Some(Abilities { namespaces, without: None }),
        };
        let policy = sandbox.policy(&Folders::below(folder.path()).unwrap());
        Self { folder, sandbox, policy }
    }

    /// Both kinds of walls: with namespaces, and where a kernel has none.
    fn both() -> [Self; 2] {
        [Self::new(true), Self::new(false)]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, command: &str) -> Ran {
        self.run_for(command, TIME).await
    }

    async fn run_for(&self, command: &str, time: Duration) -> Ran {
        let job = Job {
            command_line: command.to_owned(),
            folders: self.policy.folders.clone(),
            time,
            hold: Box::new(()),
        };
        run_under(&self.sandbox, &self.policy, job).await.unwrap()
    }

    /// That a command fails, and says nothing that is private.
    #[track_caller]
    fn assert_refused(ran: &Ran, what: &str) {
        assert!(ran.exit_code != Some(0) && !ran.output.contains("PRIVATE"), "{what}: {ran:?}");
    }
}

/// The hostile program's command line; it is built along with this one.
fn intruder(what: &str) -> String {
    let program = programs().join("examples/intruder");
    assert!(program.exists(), "build the examples first, as `cargo test` does");
    format!("{} {what}", program.display())
}

/// The folder that this test's programs are built into.
fn programs() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_code-agent")).parent().unwrap().to_owned()
}

#[tokio::test]
async fn a_command_says_and_ends_what_it_likes() {
    for world in World::both() {
        let ran = world.run("echo out; echo err >&2; exit 3").await;
        let expected = Ran {
            exit_code: Some(3),
            output: "out\nerr\n".into(),
            timed_out: false,
            stopped: None,
        };
        assert_eq!(ran, expected);
        let ran = world.run("kill -TERM $$").await;
        assert_eq!(ran.exit_code, Some(128 + 15));
        let ran = world.run("touch made && mkdir -p ~/x && touch $TMPDIR/t && echo $HOME").await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        assert!(world.path("checkout/made").exists() && world.path("temporary/t").exists());
    }
    let found = probe(
        &PathBuf::from(env!("CARGO_BIN_EXE_code-agent")),
        &Access::default(),
        &PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    )
    .await
    .unwrap();
    println!("this machine: {:?}", found.abilities);
}

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
            "ls -R /root/.ssh /home".to_owned(),
            format!("cat /proc/{host}/environ"),
            "grep -az CARGO_MANIFEST_DIR /proc/*/environ".to_owned(),
            "env | grep -i -e api_key -e token -e cargo_manifest".to_owned(),
            format!("cat /proc/{host}/root{beside}/another-slot/file"),
            format!("cat /proc/{host}/cwd/Cargo.toml"),
        ] {
            World::assert_refused(&world.run(&command).await, &command);
        }
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
    let job = |command_line: &str| Job {
        command_line: command_line.to_owned(),
        folders: world.policy.folders.clone(),
        time: TIME,
        hold: Box::new(()),
    };
    // That it can't be built is an answer, too.
    let _ = run_under(&world.sandbox, &world.policy, job(&write)).await;
    // Two commands of one checkout run side by side: one lays links while the
    // other's root is built.
    let flip = format!(
        "while true; do rm -rf {name}; ln -s /dev/shm {name}; rm -f {name}; mkdir {name}; done"
    );
    fs::remove_dir_all(world.path("temporary")).unwrap();
    fs::create_dir(world.path("temporary")).unwrap();
    let flipped = world.run_for(&flip, Duration::from_secs(3));
    let written = async {
        let mut built = 0;
        for _ in 0..30 {
            built += u32::from(run_under(&world.sandbox, &world.policy, job(&write)).await.is_ok());
        }
        built
    };
    let (_, built) = tokio::join!(flipped, written);
    assert!(built > 0, "at least one came to write");
    assert_eq!(fs::read_to_string(&file).unwrap(), "SHOWN");
}

#[tokio::test]
async fn what_tools_keep_at_home_is_there_for_the_next_command() {
    for mut world in World::both() {
        assert_eq!(world.run("mkdir ~/.cache && echo warm > ~/.cache/x").await.exit_code, Some(0));
        assert_eq!(world.run("cat ~/.cache/x").await.output, "warm\n");
        let ran = world.run("touch $CARGO_HOME/registry/x").await;
        World::assert_refused(&ran, "the user's packages are read alone");
        // Where a setup command fills them, they are its own.
        world.sandbox.own_caches = true;
        world.policy = world.sandbox.policy(&world.policy.folders);
        let ran = world.run("mkdir -p $CARGO_HOME/registry && touch $CARGO_HOME/registry/x").await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        assert!(world.path("home/.cargo/registry/x").exists());
    }
    let ran = World::new(true).run(&intruder("terminal")).await;
    assert_eq!(ran.output, "seen\n", "programs may have terminals of their own: {ran:?}");
}

#[tokio::test]
async fn nothing_outlives_the_time_limit() {
    for world in World::both() {
        // A name that no other process of the machine has.
        let mark = format!("1000.{}{}", std::process::id(), u32::from(world.policy.namespaces));
        let left = format!(
            "setsid sh -c 'sleep {mark}' & nohup sleep {mark} > /dev/null & \
             (trap '' TERM INT HUP; sleep {mark}) &"
        );
        let ran = world
            .run_for(&format!("{left} echo begun; sleep {mark}"), Duration::from_secs(2))
            .await;
        assert!(ran.timed_out && ran.exit_code.is_none(), "{ran:?}");
        assert_eq!(ran.output, "begun\n");
        assert_eq!(processes_with(&mark), Vec::<String>::new(), "all are gone with the limit");
        let ran = world.run(&format!("{left} exit 0")).await;
        assert_eq!(ran.exit_code, Some(0));
        assert_eq!(processes_with(&mark), Vec::<String>::new(), "and with the command's end");
        let hop = intruder("hop");
        let ran = world
            .run_for(
                &format!("for i in 1 2 3 4; do setsid {hop} & done; sleep {mark}"),
                Duration::from_secs(1),
            )
            .await;
        assert!(ran.timed_out, "{ran:?}");
        assert_eq!(
            processes_with("hop"),
            Vec::<String>::new(),
            "also those that never stand still"
        );
    }
}

/// The command lines of this machine's processes that have this argument.
fn processes_with(argument: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.split(' ').any(|word| word == argument)).collect()
}

#[tokio::test]
async fn nothing_outlives_its_host_or_who_waits_for_it() {
    for world in World::both() {
        let mark = format!("2000.{}{}", std::process::id(), u32::from(world.policy.namespaces));
        let line = format!("setsid sleep {mark} & echo > begun; sleep {mark}");
        {
            // Whoever waits goes away, as an attempt does that is cut off.
            let mut waiting = Box::pin(world.run(&line));
            while !world.path("checkout/begun").exists() {
                tokio::select! {
                    ran = &mut waiting => panic!("it ended: {ran:?}"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        let deadline = std::time::Instant::now() + TIME;
        while !processes_with(&mark).is_empty() {
            assert!(std::time::Instant::now() < deadline, "it outlives who waited for it");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn bombs_go_off_inside() {
    let mut world = World::new(true);
    world.policy.limits.processes = 400;
    world.policy.limits.disk_bytes = 64 << 20;
    world.policy.limits.file_bytes = 16 << 20;
    world.policy.limits.memory_bytes = 512 << 20;
    let ran = world.run_for(&intruder("forks"), Duration::from_secs(3)).await;
    assert!(ran.timed_out, "{ran:?}");
    assert_eq!(world.run("echo well").await.output, "well\n", "the host goes on");

    let ran = world.run("head -c 20000000 /dev/zero > large").await;
    World::assert_refused(&ran, "one large file");
    let fill = "i=0; while true; do head -c 8000000 /dev/zero > f$i; i=$((i+1)); sleep 0.02; done";
    let ran = world.run(fill).await;
    assert!(ran.stopped.as_ref().is_some_and(|why| why.contains("64 MiB")), "{ran:?}");
    // Each is small, all together are not.
    let many = format!("for i in 1 2 3 4 5 6; do {} & done; wait", intruder("keep 200000000"));
    for namespaces in [true, false] {
        let mut world = World::new(namespaces);
        world.policy.limits.memory_bytes = 512 << 20;
        let ran = world.run(&many).await;
        let counted = ran.stopped.as_ref().is_some_and(|why| why.contains("MiB of memory"));
        // A control group, where one can be made, has ended some of them first.
        assert!(counted || ran.output.lines().count() < 6, "{ran:?}");
        assert_eq!(world.run("echo well").await.output, "well\n", "the host goes on");
        // Sanitizers reserve far more than they use: 1 TiB, without a file behind.
        let map = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let reserve = format!("call {} 0 {} 3 {map} -1 0", libc::SYS_mmap, 1_u64 << 40);
        assert_eq!(world.run(&intruder(&reserve)).await.exit_code, Some(0));
    }
    let deep =
        "rm -f f* large; i=0; while [ $i -lt 400 ]; do mkdir d && cd d; i=$((i+1)); done; sleep 30";
    let ran = world.run(deep).await;
    assert!(ran.stopped.as_ref().is_some_and(|why| why.contains("100 deep")), "{ran:?}");
    let ran = world.run("yes | head -c 50000000; echo end").await;
    assert!(ran.output.len() < 64 * 1024 && ran.output.ends_with("end\n"), "{}", ran.output.len());
}

#[tokio::test]
async fn what_the_user_allows_is_there() {
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(outside.path().join("file"), "SHARED").unwrap();
    let shown = outside.path().canonicalize().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for namespaces in [true, false] {
        let readable = Access { readable: vec![shown.clone()], ..Access::default() };
        let world = World::with(readable, namespaces);
        let path = shown.join("file").display().to_string();
        assert_eq!(world.run(&format!("cat {path}")).await.output, "SHARED");
        World::assert_refused(&world.run(&format!("echo x > {path}")).await, "write");

        let writable = Access { writable: vec![shown.clone()], network: true, ..Access::default() };
        let world = World::with(writable, namespaces);
        let ran = world.run(&format!("cat {path} && echo -n SHARED > {path}")).await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        let ran = world.run(&intruder(&format!("tcp 127.0.0.1:{port}"))).await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
    }
}

fn write(world: &World, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = world.path("checkout").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn cargo_tests_a_project_and_finds_its_cache_warm() {
    for namespaces in [true, false] {
        // Outside of this repository, whose settings cargo would look for.
        let folder = tempfile::tempdir().unwrap();
        let world = World::of(folder, Access::default(), namespaces);
        write(
            &world,
            &[
                ("Cargo.toml", "[package]\nname = \"small\"\nedition = \"2024\"\n[workspace]\n"),
                (
                    "src/lib.rs",
                    "#[test]\nfn adds() {\n    let file = std::env::temp_dir().join(\"x\");\n    \
                     std::fs::write(&file, \"2\").unwrap();\n    assert_eq!(1 + 1, 2);\n}\n",
                ),
            ],
        );
        let cold = world.run("cargo test 2>&1").await;
        assert_eq!(cold.exit_code, Some(0), "{cold:?}");
        assert!(
            cold.output.contains("Compiling small") && cold.output.contains("1 passed"),
            "{cold:?}"
        );
        let warm = world.run("cargo test 2>&1").await;
        assert!(!warm.output.contains("Compiling") && warm.output.contains("1 passed"), "{warm:?}");
    }
}

/// A Python with pytest, made once for all tests; none where there is no Python.
fn python_with_pytest() -> Option<PathBuf> {
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pytest/bin/python");
    if python.with_file_name("pytest").exists() {
        return Some(python);
    }
    let folder = python.parent().unwrap().parent().unwrap();
    let made = std::process::Command::new("python3").args(["-m", "venv"]).arg(folder).status();
    if !made.is_ok_and(|made| made.success()) {
        return None;
    }
    let mut install = std::process::Command::new(&python);
    let installed = install.args(["-m", "pip", "install", "--quiet", "pytest"]).status().unwrap();
    assert!(installed.success(), "pytest could not be installed");
    Some(python)
}

#[tokio::test]
async fn pytest_tests_a_project() {
    let Some(python) = python_with_pytest() else {
        println!("left out: there is no python3 with venv on this machine");
        return;
    };
    let readable = vec![python.parent().unwrap().parent().unwrap().to_owned()];
    for namespaces in [true, false] {
        let world =
            World::with(Access { readable: readable.clone(), ..Access::default() }, namespaces);
        let test =
            "def test_it(tmp_path):\n    (tmp_path / 'x').write_text('2')\n    assert 1 + 1 == 2\n";
        write(&world, &[("test_small.py", test)]);
        let ran = world.run(&format!("{} -m pytest -q", python.display())).await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        assert!(ran.output.contains("1 passed"), "{ran:?}");
        assert!(world.path("checkout/.pytest_cache").exists(), "its cache is kept");
    }
}
