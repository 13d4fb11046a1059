//! What a program starts ends with it, and what goes off goes off inside.

use std::fs;
use std::time::Duration;

use super::{TIME, World, intruder};

#[tokio::test]
async fn nothing_outlives_the_time_limit() {
    for world in World::both() {
        // A name that no other process of the machine has.
        let mark = format!("1000.{}{}", std::process::id(), u32::from(world.policy.namespaces));
        let left = format!(
            "setsid sh -c 'sleep {mark}' & nohup sleep {mark} > /dev/null & \
             (trap '' TERM INT HUP; sleep {mark}) &"
        );
        assert_gone_with_the_limit(&world, &format!("{left} echo begun; sleep {mark}"), &mark)
            .await;
        let ran = world.run(&format!("{left} exit 0")).await;
        assert_eq!(ran.exit_code, Some(0));
        assert_eq!(processes_with(&mark), Vec::<String>::new(), "and with the command's end");
        // Also those that never stand still.
        let hop = intruder(&format!("hop {mark}"));
        let hops = format!("for i in 1 2 3 4; do setsid {hop} & done; echo begun; sleep {mark}");
        assert_gone_with_the_limit(&world, &hops, &mark).await;
    }
}

/// That nothing with this mark outlives the limit of a command that says `begun`
/// and goes on for ever. How long it takes to say so is the machine's business.
async fn assert_gone_with_the_limit(world: &World, command: &str, mark: &str) {
    for seconds in [2, 8, 32, 128] {
        let ran = world.run_for(command, Duration::from_secs(seconds)).await;
        assert!(ran.timed_out && ran.exit_code.is_none(), "{ran:?}");
        assert_eq!(processes_with(mark), Vec::<String>::new(), "all are gone with the limit");
        if ran.output == "begun\n" {
            return;
        }
        assert_eq!(ran.output, "");
    }
    panic!("it has never begun: {command}");
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
    // Each in a world of its own, for what another has left is counted too. Where
    // the first count comes too early and takes long, the next one comes late.
    let deep = "i=0; while [ $i -lt 400 ]; do mkdir d && cd d; i=$((i+1)); done; sleep 1000";
    let ran = World::new(true).run_for(deep, Duration::from_secs(1000)).await;
    assert!(ran.stopped.as_ref().is_some_and(|why| why.contains("100 deep")), "{ran:?}");
    let ran = World::new(true).run("yes | head -c 50000000; echo end").await;
    assert!(ran.output.len() < 64 * 1024 && ran.output.ends_with("end\n"), "{}", ran.output.len());
}
