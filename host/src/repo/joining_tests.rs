//! Packs that are joined on real repositories, judged by git itself and by those
//! who read meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use git2::Oid;

use super::super::landing::{Lander, LandingRecord};
use super::super::testing::{Sandbox, command, land, landing, written};
use super::*;

/// A run that lands one file after the other, so that each leaves a pack.
struct Run {
    sandbox: Sandbox,
    repository: Repository,
    base: String,
    lander: Lander,
}

impl Run {
    fn new() -> Self {
        let sandbox = Sandbox::with(&[("a", "one\n"), ("folder/b", "two\n")]);
        let repository = sandbox.open();
        let base = repository.begin("r1").unwrap();
        let lander = Lander::start(&repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
        Self { sandbox, repository, base, lander }
    }

    fn land(&self, number: usize) -> String {
        let file = written(&format!("folder/{}/{number}", number % 7), &format!("{number}\n"));
        land(&self.lander, landing(&format!("l{number}"), &self.base, vec![file])).unwrap().commit
    }

    /// The names of all packs; each has an index, and nothing lies beside them.
    fn packs(&self) -> Vec<String> {
        let folder = self.sandbox.top().join(".git/objects/pack");
        let list = |ending: &str| {
            let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
            let names = names.filter_map(|name| {
                let stem = name.to_str().unwrap().strip_suffix(ending)?;
                Some(stem.strip_prefix("pack-").unwrap().to_owned())
            });
            names.collect::<BTreeSet<String>>()
        };
        let (packs, indexes) = (list(".pack"), list(".idx"));
        assert_eq!(packs, indexes);
        packs.into_iter().collect()
    }

    /// Git finds nothing wrong, and so many commits after the first.
    fn check(&self, commits: usize) {
        self.sandbox.git(&["fsck", "--full", "--strict", "--no-dangling"]);
        let count = self.sandbox.git(&["rev-list", "--count", "refs/code-agent/runs/r1"]);
        assert_eq!(count, (commits + 1).to_string());
        self.sandbox.git(&["rev-list", "--objects", "--all"]);
    }
}

#[test]
fn a_run_of_many_groups_leaves_few_packs_that_hold_all() {
    let run = Run::new();
    let landed: Vec<String> = (0..120).map(|number| run.land(number)).collect();
    run.lander.close();
    // Twice fifty, and what was left at the end.
    assert_eq!(run.packs().len(), 3);
    run.check(landed.len());
    let listed: usize = run.packs().iter().map(|name| objects_in(&run, name)).sum();
    let loose = run.sandbox.git(&["rev-list", "--objects", &run.base]).lines().count();
    let all = run.sandbox.git(&["rev-list", "--objects", "--all"]).lines().count();
    assert_eq!(listed, all - loose, "each object once");
}

fn objects_in(run: &Run, name: &str) -> usize {
    let folder = run.sandbox.top().join(".git/objects/pack");
    packing::ids_in(&fs::read(file_of(&folder, name, INDEX)).unwrap()).unwrap().len()
}

#[test]
fn what_nothing_refers_to_is_kept_as_well() {
    let run = Run::new();
    let put_together = landing("l1", &run.base, vec![written("b", "b\n")]);
    let stack = super::super::stack(&run.repository, "r1", &[&put_together]).unwrap();
    let alone = stack.commits[0].clone().unwrap();
    run.land(2);
    run.lander.close();
    assert_eq!(run.packs().len(), 1);
    assert_eq!(run.sandbox.show(&alone, "b"), "b");
}

#[test]
fn packs_that_somebody_has_touched_or_that_are_large_stay_as_they_are() {
    let run = Run::new();
    let noise: String =
        (0..300_000).map(|number| format!("{:x}", number * 2_654_435_761_u64)).collect();
    land(&run.lander, landing("large", &run.base, vec![written("large", &noise)])).unwrap();
    let large = run.packs();
    assert!(fs::metadata(pack_file(&run, &large[0])).unwrap().len() > LARGEST);
    run.land(1);
    let kept: Vec<String> = run.packs().into_iter().filter(|name| !large.contains(name)).collect();
    fs::write(pack_file(&run, &kept[0]).with_extension("keep"), "mine\n").unwrap();
    for number in 2..6 {
        run.land(number);
    }
    run.lander.close();
    let left = run.packs();
    assert_eq!(left.len(), 3, "the large one, the one that is kept, and all others in one");
    assert!(left.contains(&large[0]) && left.contains(&kept[0]));
    run.check(6);

    let run = Run::new();
    (0..3).for_each(|number| drop(run.land(number)));
    run.sandbox.git(&["multi-pack-index", "write"]);
    run.lander.close();
    assert_eq!(run.packs().len(), 3);
    run.sandbox.git(&["multi-pack-index", "verify"]);
}

fn pack_file(run: &Run, name: &str) -> std::path::PathBuf {
    file_of(&run.sandbox.top().join(".git/objects/pack"), name, PACK)
}

#[test]
fn what_a_gc_has_taken_meanwhile_is_nobodys_trouble() {
    let run = Run::new();
    (0..5).for_each(|number| drop(run.land(number)));
    run.sandbox.git(&["gc", "--quiet"]);
    assert_eq!(run.packs().len(), 6, "git's, and those that are held");
    (5..8).for_each(|number| drop(run.land(number)));
    run.lander.close();
    assert_eq!(run.packs().len(), 2, "git's, and all others in one");
    run.check(8);
}

#[test]
fn an_old_pack_whose_index_a_dead_host_had_taken_goes() {
    let run = Run::new();
    run.land(0);
    let name = run.packs().remove(0);
    run.land(1);
    run.lander.close();
    let objects = run.sandbox.top().join(".git/objects");
    let folder = objects.join(format!("code-agent-4194305-{}-r1", uuid::Uuid::nil()));
    fs::create_dir(&folder).unwrap();
    fs::write(file_of(&folder, &name, INDEX), "its index").unwrap();
    fs::write(file_of(&objects.join(FOLDER), &name, PACK), "the rest of it").unwrap();
    // One that came in all the same has its index in both places.
    let whole = run.sandbox.git(&["count-objects", "-v"]);
    assert!(whole.contains("garbage: 1"), "{whole}");
    let joined =
        fs::read_dir(objects.join(FOLDER)).unwrap().map(|entry| entry.unwrap().file_name());
    let joined = joined.filter_map(|file| file.to_str()?.strip_suffix(".idx").map(str::to_owned));
    let joined = joined.collect::<Vec<_>>().remove(0);
    fs::write(folder.join(format!("{joined}.idx")), "once more").unwrap();
    run.repository.recover("r1").unwrap();
    assert!(!folder.exists());
    assert_eq!(run.packs().len(), 1);
    run.check(2);
}

#[test]
fn while_a_gc_is_at_work_all_stay() {
    let run = Run::new();
    let mark = run.sandbox.top().join(".git/gc.pid");
    fs::write(&mark, "1 here").unwrap();
    (0..60).for_each(|number| drop(run.land(number)));
    assert_eq!(run.packs().len(), 60);
    fs::remove_file(mark).unwrap();
    run.land(60);
    run.lander.close();
    assert_eq!(run.packs().len(), 2, "fifty in one, and the others");
    run.check(61);
}

/// What readers may ask for.
type Commits = Arc<RwLock<Vec<String>>>;

/// The newest, and each time others of those before.
fn some(commits: &Commits, round: usize) -> Vec<String> {
    let commits = commits.read().unwrap();
    let is_next = |at: usize| at + 3 > commits.len() || at % 16 == round % 16;
    (0..commits.len()).filter(|at| is_next(*at)).map(|at| commits[at].clone()).collect()
}

/// Reads with one handle of libgit2, which is as old as the run, until it is over.
/// Returns how often.
fn read_on(run: &Run, commits: Commits, over: Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let git = git2::Repository::open(run.sandbox.top()).unwrap();
    thread::spawn(move || {
        for round in 0.. {
            let last = over.load(Ordering::Acquire);
            for commit in some(&commits, round) {
                let tree =
                    git.find_commit(Oid::from_str(&commit).unwrap()).unwrap().tree().unwrap();
                let read = |_: &str, entry: &git2::TreeEntry<'_>| match entry.to_object(&git) {
                    Ok(_) => git2::TreeWalkResult::Ok,
                    Err(_) => git2::TreeWalkResult::Abort,
                };
                tree.walk(git2::TreeWalkMode::PreOrder, read).unwrap();
            }
            if last {
                return round;
            }
        }
        unreachable!()
    })
}

/// The same with one process of git's.
fn ask_on(run: &Run, commits: Commits, over: Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let mut git = command(run.sandbox.top(), &["cat-file", "--batch-check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut ask, said) = (git.stdin.take().unwrap(), git.stdout.take().unwrap());
    thread::spawn(move || {
        let mut said = BufReader::new(said);
        let mut round = 0;
        loop {
            let last = over.load(Ordering::Acquire);
            for commit in some(&commits, round) {
                for what in ["", "^{tree}", ":folder"] {
                    writeln!(ask, "{commit}{what}").unwrap();
                    let mut line = String::new();
                    said.read_line(&mut line).unwrap();
                    assert!(line.contains(" commit ") || line.contains(" tree "), "{line}");
                }
            }
            if last {
                break;
            }
            round += 1;
        }
        drop(ask);
        assert!(git.wait().unwrap().success());
        round
    })
}

#[test]
fn whoever_reads_meanwhile_misses_nothing() {
    let run = Run::new();
    let (commits, over) = (Commits::default(), Arc::new(AtomicBool::new(false)));
    commits.write().unwrap().push(run.base.clone());
    let readers = [
        read_on(&run, commits.clone(), over.clone()),
        read_on(&run, commits.clone(), over.clone()),
        ask_on(&run, commits.clone(), over.clone()),
    ];
    for number in 0..260 {
        let commit = run.land(number);
        commits.write().unwrap().push(commit);
    }
    run.lander.close();
    over.store(true, Ordering::Release);
    let rounds = readers.map(|reader| reader.join().unwrap());
    println!("rounds of reading: {rounds:?}");
    assert_eq!(run.packs().len(), 6);
    run.check(260);
}

#[test]
fn nothing_is_lost_to_whoever_packs_all_anew_meanwhile() {
    let run = Run::new();
    let over = Arc::new(AtomicBool::new(false));
    let (top, told) = (run.sandbox.top().to_owned(), over.clone());
    // `-a` drops what has no reference yet, where nobody holds it. It may fail where a
    // pack goes that it is about to read, and does so seldom.
    let packer = thread::spawn(move || {
        let mut count = 0;
        while !told.load(Ordering::Acquire) {
            for arguments in [
                &["repack", "-a", "-d", "-q"][..],
                &["pack-refs", "--all"],
                &["gc", "--quiet", "--prune=now"],
            ] {
                count += usize::from(command(&top, arguments).output().unwrap().status.success());
            }
        }
        count
    });
    for number in 0..160 {
        let file = [written(&number.to_string(), "x\n")];
        let wanted = landing(&format!("l{number}"), &run.base, file.to_vec());
        // Nothing of it has landed where one look at the folder came between two changes.
        let tries = (0..3).map(|_| land(&run.lander, wanted.clone()));
        tries.into_iter().find_map(std::result::Result::ok).expect("it never lands");
    }
    run.lander.close();
    over.store(true, Ordering::Release);
    let packed = packer.join().unwrap();
    println!("packed {packed} times");
    assert!(packed > 0);
    run.check(160);
}
