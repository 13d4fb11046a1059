//! The queue of `--check-strict`: what waits there together collides, comes too
//! late or finds the branch moved. Where it takes two that wait at the same time,
//! the queue is called as the program calls it.

use std::path::PathBuf;
use std::sync::Arc;

use code_agent::agent::{Checker, MergeBench, MergeQueue, RunLog};
use code_agent::clock::Clock;
use code_agent::queue::{Claim, Database, NewRun, Plan, RunStore, Store};
use code_agent::repo::path::CheckoutPath;
use code_agent::repo::{
    Change, ChangeKind, Checkouts, LandError, Landed, Lander, Landing, Mode, Repository,
};
use code_agent::sandbox::{Access, Sandbox};
use code_agent::transcript::{About, Entry, Host, Journal, Recorder, Replay};
use code_agent::types::{Priority, Role, TaskDraft};
use model_server::{ModelServer, Rule, Script, finish_task};
use serde_json::json;

use crate::conflicts::together;
use crate::program::{code_agent_without_merger, model, run};
use crate::project::Project;
use crate::replay::assert_replays_with;
use crate::scripts::{content_judge, domain, edit, plan, write_file};

const RUN: &str = "r1";

/// A run whose queue waits for landings.
struct Bench {
    project: Project,
    store: RunStore,
    journal: Journal,
    repository: Repository,
    base: String,
    queue: MergeQueue,
}

impl Bench {
    /// The check may do what the user may; it is told of by a line each time.
    async fn new(check: &str) -> Self {
        let project = Project::new(&[("count.txt", "count: 0\n")]);
        let repository = Repository::open(&project.path(), "main", true).unwrap();
        let base = repository.begin(RUN).unwrap();
        let database = Database::open(&project.beside("tasks.db")).unwrap();
        let clock = Clock::system();
        let new = NewRun {
            goal: "Count".into(),
            branch: "main".into(),
            root_path: project.path().display().to_string(),
            base: base.clone(),
            model: "none".into(),
            options: "{}".into(),
            max_cycles: 1,
            max_workers: 2,
        };
        let store = database.start_run(RUN, new, clock.clone()).await.unwrap();
        let recorder =
            Recorder::open(project.beside("transcript"), clock, Vec::new(), Vec::new()).unwrap();
        let journal = Journal::new(recorder, None);
        journal.write(Entry::Host(Host {
            run: RUN.into(),
            goal: "Count".into(),
            base: base.clone(),
            max_cycles: 1,
            max_workers: 2,
        }));
        let log = RunLog { store: store.clone(), journal: journal.clone() };
        let lander = Arc::new(Lander::start(&repository, RUN, log).unwrap());
        let check = format!("echo checked >> {}; {check}", project.beside("checks").display());
        let queue = MergeQueue::start(MergeBench {
            checker: Arc::new(checker(&project, &repository, check)),
            lander,
            repository: repository.clone(),
            store: store.clone(),
        });
        Self { project, store, journal, repository, base, queue }
    }

    /// Two tasks at work.
    async fn claims(&self) -> [Claim; 2] {
        let open = self.store.start_cycle(1, self.base.clone()).await.unwrap();
        let draft = |title: &str| TaskDraft {
            title: title.into(),
            description: String::new(),
            priority: Priority::Medium,
            file_paths: Vec::new(),
        };
        let tasks = vec![draft("left"), draft("right")];
        let plan = Plan { tasks, ..Plan::default() };
        self.store.finish_planner(1, &open.planners[0], plan).await.unwrap();
        let left = self.store.claim(1, "worker-1").await.unwrap().unwrap();
        let right = self.store.claim(1, "worker-2").await.unwrap().unwrap();
        [left, right]
    }

    /// What becomes of a file that a claim's worker has written.
    async fn land(
        &self,
        claim: &Claim,
        file: &str,
        text: &str,
    ) -> Result<Landed, Option<LandError>> {
        let transcript = self.journal.call(About {
            agent: claim.slot.clone(),
            role: Role::Worker,
            subject: Some(claim.task.id.clone()),
            cycle: 1,
            attempt: claim.task.attempt,
            base: Some(self.base.clone()),
        });
        let memo = json!({ "slot": claim.slot, "attempt": claim.task.attempt, "report": null });
        let landing = Landing {
            landing_id: format!("landing-of-{}", claim.task.draft.title),
            task_id: claim.task.id.clone(),
            cycle: 1,
            model: None,
            base: self.base.clone(),
            changes: vec![Change {
                path: CheckoutPath::parse_file(file).unwrap(),
                kind: ChangeKind::Written { mode: Mode::File, bytes: text.into() },
            }],
            message: claim.task.draft.title.clone(),
            author_time: 1_700_000_000,
            memo: Some(memo.to_string()),
        };
        match self.queue.land(landing, Arc::new(transcript)).await {
            Ok(outcome) => outcome.map_err(Some),
            // Refused: the check is red.
            Err(_) => Err(None),
        }
    }

    fn tip(&self) -> String {
        self.repository.tip(RUN).unwrap()
    }

    fn checks(&self) -> usize {
        std::fs::read_to_string(self.project.beside("checks")).unwrap_or_default().lines().count()
    }
}

/// Without walls, so that a check can do what somebody else might do meanwhile.
fn checker(project: &Project, repository: &Repository, check: String) -> Checker {
    let cache = project.beside("cache");
    let checkouts = Checkouts::new(repository.clone(), RUN, &cache, false).unwrap();
    let sandbox = Sandbox {
        helper: PathBuf::from(env!("CARGO_BIN_EXE_code-agent")),
        access: Access::default(),
        own_caches: false,
        abilities: None,
    };
    Checker::new(Arc::new(sandbox), check, None, Arc::new(checkouts), 1)
}

#[tokio::test]
async fn of_two_that_collide_the_second_is_told_of_the_first() {
    let bench = Bench::new("true").await;
    let [left, right] = bench.claims().await;
    // Both are sent before the queue looks for the first time.
    let (first, second) = tokio::join!(
        bench.land(&left, "count.txt", "count: left\n"),
        bench.land(&right, "count.txt", "count: right\n")
    );
    let landed = first.unwrap().commit;
    assert_eq!(bench.tip(), landed);
    let Err(Some(LandError::Conflict { files, commits })) = second else { panic!("{second:?}") };
    assert_eq!((files, commits), (vec!["count.txt".to_owned()], vec![landed]));
    assert_eq!(bench.checks(), 1, "what collides is not checked");
}

#[tokio::test]
async fn what_collides_with_something_red_alone_lands() {
    let bench = Bench::new("! grep -q left count.txt").await;
    let [left, right] = bench.claims().await;
    let (first, second) = tokio::join!(
        bench.land(&left, "count.txt", "count: left\n"),
        bench.land(&right, "count.txt", "count: right\n")
    );
    assert_eq!(first, Err(None), "the check is red");
    assert_eq!(bench.tip(), second.unwrap().commit);
    assert_eq!(bench.project.git(&["show", &format!("{}:count.txt", bench.tip())]), "count: right");
}

#[tokio::test]
async fn what_comes_too_late_has_the_others_checked_without_it_and_is_not_played_back() {
    let bench = Bench::new("true").await;
    let [left, right] = bench.claims().await;
    // Its lease is over; somebody else may have the task by now.
    assert!(bench.store.fail_attempt(&left, "too slow".into()).await.unwrap());
    let (first, second) = tokio::join!(
        bench.land(&left, "left.txt", "left\n"),
        bench.land(&right, "right.txt", "right\n")
    );
    assert_eq!(first, Err(Some(LandError::Late)));
    assert_eq!(bench.tip(), second.unwrap().commit);
    let files = bench.project.git(&["ls-tree", "--name-only", &bench.tip()]);
    assert_eq!(files, "count.txt\nright.txt");
    assert_eq!(bench.checks(), 2, "with it, and without");
    assert_eq!(bench.project.git(&["rev-list", "--count", &bench.tip()]), "2");
    let refused = Replay::open(&bench.project.beside("transcript")).err().unwrap().to_string();
    assert!(refused.contains("lost its lease"), "{refused}");
}

#[tokio::test]
async fn what_was_checked_on_another_branch_is_checked_again() {
    let folder = tempfile::tempdir().unwrap();
    let next = folder.path().join("next");
    let bench = Bench::new(&format!("if test -e {0}; then sh {0}; fi", next.display())).await;
    let [left, _] = bench.claims().await;
    let git = "git -c user.name=x -c user.email=x";
    let top = bench.project.path().display().to_string();
    std::fs::write(
        &next,
        format!(
            "rm {next} && cd {top} && {git} update-ref refs/code-agent/runs/{RUN} \
             $({git} commit-tree -m theirs -p {base} '{base}^{{tree}}')",
            next = next.display(),
            base = bench.base
        ),
    )
    .unwrap();
    let landed = bench.land(&left, "left.txt", "left\n").await.unwrap();
    assert_eq!(bench.tip(), landed.commit);
    let titles = bench.project.git(&["log", "--format=%s", &landed.commit]);
    assert_eq!(titles, "left\ntheirs\nBegin");
    assert_eq!(bench.checks(), 2, "where it stood before, and where it stands");
}

#[test]
fn what_collides_in_a_strict_run_is_done_anew_and_plays_back() {
    let project = Project::new(&[("count.txt", "count: 0\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["left", "right"]),
        domain("left", &[("Count left", "count.txt")]),
        domain("right", &[("Count right", "count.txt")]),
        together("Count left", edit("count.txt", "count: 0", "count: left")),
        together("Count right", edit("count.txt", "count: 0", "count: right")),
        Rule::worker(&["Attempt: 2", "collide", "count.txt"])
            .turn(write_file("count.txt", "count: both\n"))
            .turn(finish_task("Done on top of the other.")),
        content_judge(),
    ]))
    .unwrap();
    let strict = ["--check", "grep -q count count.txt", "--check-strict"];
    let mut command = code_agent_without_merger(&project);
    command.args(["--goal", "Both", "--max-workers", "2"]).args(strict).args(model(&server));
    run(&mut command).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    project.assert_sound();
    assert_eq!(project.read("count.txt"), "count: both\n");
    assert_eq!(project.query::<u32>("SELECT sum(attempt) FROM tasks"), 3);
    assert_replays_with(&project, &strict);
}
