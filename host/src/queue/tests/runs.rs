//! Plans, where a run stands, and the writer and readers of one database.

use super::{CYCLE, Queue, landing, new_run, plan, refuse, report};
use crate::events::Event;
use crate::queue::{Counts, CycleEnd, EndedCycle, Plan, Standing, Store};
use crate::types::{Decision, Domain, Priority, Verdict};

#[tokio::test]
async fn a_plan_is_added_as_a_whole_or_not_at_all() {
    let queue = Queue::new().await;
    refuse(&queue.other(), "refused");
    let domain =
        Domain { name: "docs".into(), description: "all".into(), file_patterns: vec!["*".into()] };
    let tasks = [("good", Priority::High), ("refused", Priority::High)];
    let bad = Plan { domains: vec![domain.clone()], ..plan(&tasks) };
    let error = queue.add(bad).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    assert_eq!((queue.count("tasks"), queue.count("planners")), (0, 1));
    assert_eq!(queue.events().len(), 2, "a change that failed tells nothing");

    let good = Plan { domains: vec![domain.clone()], ..plan(&tasks[..1]) };
    let sub_planners = queue.add(good).await.unwrap();
    assert_eq!((sub_planners[0].depth, &sub_planners[0].domain), (1, &Some(domain)));
    assert_eq!((queue.count("tasks"), queue.count("planners")), (1, 2));
    let Some(Event::PlannerFinished { tasks: 1, sub_planners: 1, .. }) = queue.events().pop()
    else {
        panic!("{:?}", queue.events());
    };
}

#[tokio::test]
async fn a_host_that_died_leaves_nothing_done_twice_and_nothing_undone() {
    let tasks = ["landed", "half", "lost", "working"].map(|title| (title, Priority::High));
    let queue = Queue::with(&tasks).await;
    let mut claims = Vec::new();
    for slot in ["worker-1", "worker-2", "worker-3", "worker-4"] {
        claims.push(queue.claim(slot).await.unwrap());
    }
    let rows = vec![
        landing("landed", &claims[0], Some(report())),
        // Landed, but its worker went on working.
        landing("half", &claims[1], None),
        // The ref never moved.
        landing("lost", &claims[2], Some(report())),
    ];
    let store = queue.store.clone();
    let recorded = tokio::task::spawn_blocking(move || store.record_landings(rows)).await.unwrap();
    assert_eq!(recorded.unwrap(), Vec::<String>::new());

    let unconfirmed = queue.store.unconfirmed_landings().await.unwrap();
    let expected = ["landed", "half", "lost"].map(|id| (id.to_owned(), format!("commit of {id}")));
    assert_eq!(unconfirmed, expected);
    queue.store.settle(vec!["landed".into(), "half".into()]).await.unwrap();
    assert_eq!(queue.store.unconfirmed_landings().await.unwrap(), []);
    assert_eq!(queue.count("landings"), 2, "what never landed is forgotten");
    let outcomes = queue.store.cycle_state(CYCLE).await.unwrap().outcomes;
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].completed && outcomes[0].draft.title == "landed");
    let returned = |event: &Event| matches!(event, Event::TaskReturned { .. });
    assert_eq!(queue.events().into_iter().filter(returned).count(), 3);
    for title in ["half", "lost", "working"] {
        let task = queue.claim("worker-1").await.unwrap().task;
        assert_eq!((task.draft.title.as_str(), task.attempt), (title, 1), "it was not its fault");
    }
    assert_eq!(queue.claim("worker-1").await, None);
}

#[tokio::test]
async fn a_run_knows_where_it_stands() {
    let queue = Queue::new().await;
    let other = queue.store.database().start_run("other", new_run(), queue.clock.clone());
    assert_eq!(other.await.unwrap().standing().await.unwrap(), Standing::default());

    let open = queue.store.standing().await.unwrap().open.unwrap();
    assert_eq!(open.planners.as_slice(), std::slice::from_ref(&queue.main_planner));
    let domain = Domain { name: "docs".into(), description: "all".into(), file_patterns: vec![] };
    let both =
        Plan { domains: vec![domain], ..plan(&[("a", Priority::Low), ("b", Priority::Low)]) };
    let sub_planners = queue.add(both).await.unwrap();
    let open = queue.store.standing().await.unwrap().open.unwrap();
    assert_eq!((open.cycle, open.base.as_str(), open.overview.as_str()), (1, "base", "overview"));
    assert_eq!((open.tasks, &open.planners), (2, &sub_planners), "who finished is not asked again");
    queue.store.fail_planner(&sub_planners[0], "no idea".into()).await.unwrap();
    assert_eq!(queue.store.standing().await.unwrap().open.unwrap().planners, []);

    let claim = queue.claim("worker-1").await.unwrap();
    assert!(queue.store.complete(&claim, report()).await.unwrap());
    let verdict =
        Verdict { decision: Decision::NextCycle, goal_met: false, reasoning: "more".into() };
    let end = CycleEnd { cycle: 1, head: "head".into(), workers: 1, verdict: verdict.clone() };
    let counts = Counts { completed: 1, failed: 0 };
    assert_eq!(queue.store.end_cycle(end).await.unwrap(), counts);
    assert_eq!(queue.count("tasks"), 1, "what was pending is cleared");
    let ended = vec![EndedCycle { cycle: 1, counts, verdict }];
    assert_eq!(queue.store.standing().await.unwrap(), Standing { ended, open: None });
    queue.store.start_cycle(2, "head".into()).await.unwrap();
    let standing = queue.store.standing().await.unwrap();
    assert_eq!((standing.ended.len(), standing.open.unwrap().cycle), (1, 2));
}

#[tokio::test]
async fn a_change_that_fails_takes_none_of_its_group_along() {
    let queue = Queue::new().await;
    let other = queue.other();
    refuse(&other, "refused");
    // While another program writes, changes pile up behind the writer's first
    // group and make up one more.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = queue.store.database().groups();
    let titles: Vec<String> =
        (0..21).map(|n| if n == 10 { "refused".into() } else { format!("task {n}") }).collect();
    let mut changes = tokio::task::JoinSet::new();
    for title in titles {
        let (store, planner) = (queue.store.clone(), queue.main_planner.clone());
        changes.spawn(async move {
            let plan = plan(&[(title.as_str(), Priority::Low)]);
            (title, store.finish_planner(CYCLE, &planner, plan).await.is_ok())
        });
    }
    // The test's runtime has one thread: when this one goes on, each of the
    // others has handed its change in.
    tokio::task::yield_now().await;
    other.execute_batch("COMMIT").unwrap();
    let failed: Vec<String> = changes
        .join_all()
        .await
        .into_iter()
        .filter(|(_, ok)| !ok)
        .map(|(title, _)| title)
        .collect();
    assert_eq!(failed, ["refused"]);
    assert_eq!(queue.count("tasks"), 20);
    // Among 21 changes in two groups at most, none can have been alone in the middle.
    assert!(queue.store.database().groups() - before <= 2);
}

#[tokio::test]
async fn who_reads_and_who_writes_do_not_wait_for_one_another() {
    let queue = Queue::with(&[("task", Priority::High)]).await;
    let told = queue.events().len();
    let writing = queue.other();
    writing.execute_batch("BEGIN IMMEDIATE; DELETE FROM events").unwrap();
    assert_eq!(queue.events().len(), told, "a reader sees what was committed");
    writing.execute_batch("ROLLBACK").unwrap();

    let reading = queue.other();
    let count = "SELECT count(*) FROM events";
    reading.execute_batch("BEGIN").unwrap();
    let seen: u32 = reading.query_row(count, [], |row| row.get(0)).unwrap();
    assert!(queue.claim("worker-1").await.is_some());
    assert_eq!(reading.query_row::<u32, _, _>(count, [], |row| row.get(0)).unwrap(), seen);
    assert_eq!(queue.events().len(), told + 1, "the claim has told of itself");
    assert!(*queue.store.database().committed().borrow() > 0);
}
