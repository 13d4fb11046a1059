//! Landings on real repositories, judged by git itself.

use std::sync::{Arc, Mutex};

use super::super::changes::{ChangeKind, Mode};
use super::super::testing::{Sandbox, land, landing, path, removed, run_git, wait, written};
use super::*;

/// A run on a repository with these files, whose `main` is checked out.
struct Run {
    sandbox: Sandbox,
    base: String,
    lander: Lander,
    repository: Repository,
    records: Arc<Mutex<Vec<Vec<LandingRecord>>>>,
}

fn run_on(files: &[(&str, &str)]) -> Run {
    let sandbox = Sandbox::with(files);
    let repository = sandbox.open();
    let base = repository.begin("r1").unwrap();
    let records = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&records);
    let record = move |group: &[LandingRecord]| {
        kept.lock().unwrap().push(group.to_vec());
        Ok(())
    };
    let lander = Lander::start(&repository, "r1", record).unwrap();
    Run { sandbox, base, lander, repository, records }
}

impl Run {
    /// Lands changes that were made to the run's start.
    fn land(&self, id: &str, changes: Vec<Change>) -> Result<Landed, LandError> {
        land(&self.lander, landing(id, &self.base, changes))
    }

    fn tip(&self) -> String {
        self.repository.tip("r1").unwrap()
    }

    fn show(&self, path: &str) -> String {
        self.sandbox.show("refs/code-agent/runs/r1", path)
    }

    /// Git finds nothing wrong, and the history is straight.
    fn check(&self, commits: usize) {
        let said = self.sandbox.git(&["fsck", "--full", "--strict", "--no-dangling"]);
        assert!(!said.contains("error") && !said.contains("missing"), "{said}");
        let range = format!("{}..refs/code-agent/runs/r1", self.base);
        let parents = self.sandbox.git(&["log", "--format=%P", &range]);
        let parents: Vec<&str> = parents.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(parents.len(), commits);
        assert!(parents.iter().all(|line| line.len() == 40), "one parent each");
        let left = std::fs::read_dir(self.repository.common_directory().join("objects")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !left.iter().any(|name| name.to_string_lossy().starts_with("code-agent")),
            "{left:?}"
        );
    }
}

fn conflict(outcome: Result<Landed, LandError>) -> (Vec<String>, Vec<String>) {
    let Err(LandError::Conflict { files, commits }) = outcome else { panic!("{outcome:?}") };
    (files, commits)
}

#[test]
fn different_files_land_one_on_the_other() {
    let run = run_on(&[("a", "one\n"), ("d/b", "one\n"), ("d/c", "one\n")]);
    let first = run.land("l1", vec![written("a", "two\n")]).unwrap();
    let second = run.land("l2", vec![removed("d/b"), written("d/e/new", "n\n")]).unwrap();
    assert_eq!(second.files, ["d/b", "d/e/new"]);
    assert_eq!(run.tip(), second.commit);
    let tree = run.sandbox.git(&["ls-tree", "-r", "--name-only", "refs/code-agent/runs/r1"]);
    assert_eq!(tree, "a\nd/c\nd/e/new");
    assert_eq!(run.show("a"), "two");
    run.check(2);
    let records = run.records.lock().unwrap();
    let record = &records[1][0];
    assert_eq!((record.commit.as_str(), record.parent.as_str()), (&*second.commit, &*first.commit));
    assert_eq!((record.landing_id.as_str(), record.task_id.as_str()), ("l2", "task-l2"));
}

#[test]
fn a_commit_says_who_made_it_and_for_what() {
    let run = run_on(&[("a", "one\n")]);
    let mut request = landing("l1", &run.base, vec![written("a", "two\n")]);
    request.message = "Fix\n\nCode-Agent-Task: forged".to_owned();
    let commit = land(&run.lander, request).unwrap().commit;
    let format = "--format=%an <%ae>|%cn <%ce>|%at|%(trailers:key=Code-Agent-Task,valueonly)";
    let said = run.sandbox.git(&["log", "-1", format, &commit]);
    let who = "code-agent <code-agent@localhost>";
    assert_eq!(said.trim_end(), format!("{who}|{who}|1700000000|task-l1"));
}

#[test]
fn the_same_file_merges_by_lines_or_names_the_conflict() {
    let run = run_on(&[("a", "1\n2\n3\n4\n5\n6\n7\n"), ("b", "x\n")]);
    let first = run.land("l1", vec![written("a", "one\n2\n3\n4\n5\n6\n7\n")]).unwrap();
    run.land("l2", vec![written("b", "y\n")]).unwrap();
    run.land("l3", vec![written("a", "1\n2\n3\n4\n5\n6\nseven\n")]).unwrap();
    assert_eq!(run.show("a"), "one\n2\n3\n4\n5\n6\nseven");
    let tip = run.tip();
    let (files, commits) = conflict(
        run.land("l4", vec![written("a", "uno\n2\n3\n4\n5\n6\n7\n"), written("c", "c\n")]),
    );
    assert_eq!(files, ["a"]);
    assert_eq!(commits, [tip.clone(), first.commit]);
    assert_eq!(run.tip(), tip, "a conflict lands nothing");
    run.check(3);
}

#[test]
fn a_change_of_the_mode_alone_lands_beside_an_edit() {
    let run = run_on(&[("a", "one\n")]);
    run.land("l1", vec![written("a", "two\n")]).unwrap();
    let kind = ChangeKind::Written { mode: Mode::Executable, bytes: b"one\n".to_vec() };
    run.land("l2", vec![Change { path: path("a"), kind }]).unwrap();
    let entry = run.sandbox.git(&["ls-tree", "refs/code-agent/runs/r1", "a"]);
    assert!(entry.starts_with("100755"), "{entry}");
    assert_eq!(run.show("a"), "two");
}

#[test]
fn deleting_what_another_edited_collides() {
    let run = run_on(&[("a", "one\n"), ("b", "one\n")]);
    let edit = run.land("l1", vec![written("a", "two\n")]).unwrap();
    assert_eq!(conflict(run.land("l2", vec![removed("a")])), (vec!["a".into()], vec![edit.commit]));
    run.land("l3", vec![removed("b")]).unwrap();
    assert_eq!(conflict(run.land("l4", vec![written("b", "two\n")])).0, ["b"]);
    assert_eq!(run.land("l5", vec![removed("b")]), Err(LandError::Nothing));
    assert_eq!(run.land("l6", vec![written("a", "two\n")]), Err(LandError::Nothing));
    assert_eq!(run.land("l7", Vec::new()), Err(LandError::Nothing));
}

#[test]
fn files_and_folders_take_each_others_places_or_collide() {
    // No two of these are alike, or git would take one for the other, renamed.
    let run = run_on(&[("f", "file\n"), ("d/x", "x\n")]);
    run.land("l1", vec![removed("f"), written("f/inside", "i\n")]).unwrap();
    run.land("l2", vec![removed("d/x"), written("d", "was a folder\n")]).unwrap();
    let tree = run.sandbox.git(&["ls-tree", "-r", "--name-only", "refs/code-agent/runs/r1"]);
    assert_eq!(tree, "d\nf/inside");
    assert!(!conflict(run.land("l3", vec![written("f", "edited\n")])).0.is_empty());
    assert!(!conflict(run.land("l4", vec![written("d/y", "y\n")])).0.is_empty());
    run.land("l5", vec![written("new", "a new one\n")]).unwrap();
    assert!(!conflict(run.land("l6", vec![written("new/below", "b\n")])).0.is_empty());
    run.land("l7", vec![written("folder/below", "b\n")]).unwrap();
    assert!(!conflict(run.land("l8", vec![written("folder", "f\n")])).0.is_empty());
    run.check(4);
}

#[test]
fn an_edit_follows_a_file_that_another_renamed() {
    let text = "a line that is long enough\nand another one\nand a third\nand a fourth\n";
    let run = run_on(&[("old", text)]);
    run.land("l1", vec![removed("old"), written("new", text)]).unwrap();
    let landed = run.land("l2", vec![written("old", &format!("{text}a fifth\n"))]).unwrap();
    assert_eq!(landed.files, ["new"]);
    assert!(run.show("new").ends_with("a fifth"));
}

#[test]
fn links_land_as_links() {
    let run = run_on(&[("a", "one\n")]);
    let kind = ChangeKind::Written { mode: Mode::Link, bytes: b"/nowhere/at all".to_vec() };
    run.land("l1", vec![Change { path: path("a"), kind }]).unwrap();
    let entry = run.sandbox.git(&["ls-tree", "refs/code-agent/runs/r1", "a"]);
    assert!(entry.starts_with("120000"), "{entry}");
    assert_eq!(run.show("a"), "/nowhere/at all");
    run.check(1);
}

#[test]
fn many_at_once_land_in_groups_on_a_straight_history() {
    let run = run_on(&[("shared", "start\n")]);
    let land_all = async {
        let all: Vec<_> = (0..20)
            .map(|number| {
                // Two of them want the same file: the second collides alone.
                let name = if number % 10 == 3 { "shared".into() } else { format!("d{number}/f") };
                let changes = vec![written(&name, &format!("{number}\n"))];
                run.lander.land(landing(&format!("l{number}"), &run.base, changes))
            })
            .map(Box::pin)
            .collect();
        join_all(all).await
    };
    let outcomes = wait(land_all);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 19);
    assert!(matches!(outcomes[13], Err(LandError::Conflict { .. })));
    run.check(19);
    let recorded = run.records.lock().unwrap();
    let packs = run.sandbox.git(&["count-objects", "-v"]);
    assert!(
        packs.contains(&format!("packs: {}", recorded.len())),
        "a pack for each group: {packs}"
    );
}

/// Polls all until all are done, so that they wait in the queue together.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().any(Option::is_none) {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(done.iter_mut().filter_map(Option::take).collect())
    })
    .await
}

#[test]
fn what_could_not_be_recorded_does_not_land_and_can_be_landed_again() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let repository = sandbox.open();
    let base = repository.begin("r1").unwrap();
    let mut calls = 0;
    let lander = Lander::start(&repository, "r1", move |_: &[LandingRecord]| {
        calls += 1;
        if calls == 1 { Err(Error::failed("the disk is full")) } else { Ok(()) }
    })
    .unwrap();
    let request = landing("l1", &base, vec![written("a", "two\n")]);
    let first = land(&lander, request.clone());
    assert_eq!(first, Err(LandError::Failed(Error::failed("the disk is full"))));
    assert_eq!(repository.tip("r1").unwrap(), base);
    let landed = land(&lander, request).unwrap();
    assert_eq!(repository.tip("r1").unwrap(), landed.commit);
}

/// A log that can't write down that a group has landed, and what it hears.
struct Forgetful(std::sync::mpsc::Sender<std::result::Result<String, LandError>>);

impl LandingLog for Forgetful {
    fn record(&mut self, _group: &[LandingRecord]) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn confirm(&mut self, _group: &[LandingRecord]) -> Result<()> {
        Err(Error::failed("the disk is full"))
    }

    fn ended(&mut self, _landing: &Landing, outcome: &Outcome) {
        self.0.send(outcome.clone().map(|landed| landed.commit)).unwrap();
    }
}

#[test]
fn what_has_landed_is_told_so_where_it_could_not_be_confirmed() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let repository = sandbox.open();
    let base = repository.begin("r1").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let lander = Lander::start(&repository, "r1", Forgetful(tell)).unwrap();
    let outcome = land(&lander, landing("l1", &base, vec![written("a", "two\n")]));
    assert_eq!(outcome, Err(LandError::Failed(Error::failed("the disk is full"))));
    assert_eq!(told.recv().unwrap(), Ok(repository.tip("r1").unwrap()));
    assert_ne!(repository.tip("r1").unwrap(), base);
}

#[test]
fn a_reference_that_somebody_moved_fails_the_group_and_the_next_reads_it_anew() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let repository = sandbox.open();
    let base = repository.begin("r1").unwrap();
    let other = sandbox.commit_beside("refs/heads/other", &[("b", "theirs\n")]);
    let (top, moved_to, mut moved) = (sandbox.top().to_owned(), other.clone(), false);
    let lander = Lander::start(&repository, "r1", move |_: &[LandingRecord]| {
        if !std::mem::replace(&mut moved, true) {
            run_git(&top, &["update-ref", "refs/code-agent/runs/r1", &moved_to]);
        }
        Ok(())
    })
    .unwrap();
    let request = landing("l1", &base, vec![written("a", "two\n")]);
    let first = land(&lander, request.clone());
    let Err(LandError::Failed(error)) = first else { panic!("{first:?}") };
    assert!(error.to_string().contains("refs/code-agent/runs/r1"), "{error}");
    assert_eq!(repository.tip("r1").unwrap(), other);
    land(&lander, request).unwrap();
    assert_eq!(sandbox.show("refs/code-agent/runs/r1", "b"), "theirs");
}

#[test]
fn a_branch_that_is_checked_out_nowhere_follows_until_somebody_moves_it() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let repository = Repository::open(sandbox.top(), "work", true).unwrap();
    let base = repository.begin("r1").unwrap();
    let lander = Lander::start(&repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
    let first = land(&lander, landing("l1", &base, vec![written("a", "two\n")])).unwrap();
    assert_eq!(sandbox.git(&["rev-parse", "work"]), first.commit);
    assert_eq!(repository.end_cycle("r1").unwrap(), super::super::BranchOutcome::AlreadyThere);
    let other = sandbox.commit_beside("refs/heads/work", &[("b", "theirs\n")]);
    land(&lander, landing("l2", &base, vec![written("c", "new\n")])).unwrap();
    assert_eq!(sandbox.git(&["rev-parse", "work"]), other);
    let outcome = repository.end_cycle("r1").unwrap();
    let super::super::BranchOutcome::LeftAlone { command, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(command, "git switch work && git merge refs/code-agent/runs/r1");
}

#[path = "conflict_tests.rs"]
mod conflicts;
