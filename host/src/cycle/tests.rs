//! The cycle alone: caps, failures and leases.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::testing::{FakeCrew, MemoryStore, domain_plan, project_plan, report, verdict};
use super::*;
use crate::queue::{Counts, OpenCycle, Planner, Standing};

/// The cycles; an error where the run failed.
async fn run_on(store: &MemoryStore, crew: FakeCrew, limits: Limits) -> Result<Vec<CycleResult>> {
    let (_wish, stop) = watch::channel(false);
    match run_cycles(store, &Arc::new(crew), limits, stop).await {
        (results, Ended::Judged) => Ok(results),
        (_, Ended::Failed(error)) => Err(error),
        (_, Ended::Stopped) => panic!("nobody stopped it"),
    }
}

async fn run(crew: FakeCrew, limits: Limits) -> (MemoryStore, Result<Vec<CycleResult>>) {
    let store = MemoryStore::default();
    let results = run_on(&store, crew, limits).await;
    (store, results)
}

#[tokio::test]
async fn cycles_go_on_until_the_judge_stops() {
    let crew = FakeCrew {
        review: Box::new(|brief| {
            Ok(verdict(if brief.cycle < 3 { Decision::NextCycle } else { Decision::Stop }))
        }),
        ..FakeCrew::default()
    };
    let (_, results) = run(crew, Limits::default()).await;
    let results = results.unwrap();
    assert_eq!(results.len(), 3);
    assert!(!results[2].continue_next_cycle && results[2].goal_met);
}

#[tokio::test]
async fn a_planner_that_never_stops_splitting_ends_at_the_caps() {
    let crew = FakeCrew {
        plan_domain: Box::new(|(domain, _)| {
            let names: Vec<String> = (0..4).map(|part| format!("{}.{part}", domain.name)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Ok(domain_plan(&names, &names))
        }),
        ..FakeCrew::default()
    };
    let limits =
        Limits { max_domains: 3, max_depth: 2, max_tasks_per_cycle: 20, ..Limits::default() };
    let (store, results) = run(crew, limits).await;
    results.unwrap();
    store.with(|memory| {
        // The main planner, its two domains, and three parts of each.
        assert_eq!(memory.plans.len(), 1 + 2 + 6);
        assert_eq!(memory.completed.len(), 20);
        let left_out: u32 = memory.plans.iter().map(|plan| plan.left_out).sum();
        assert_eq!(left_out, (8 * 4 - 20) + (2 + 6 * 4));
    });
}

#[tokio::test]
async fn a_domain_of_the_same_name_is_planned_once() {
    let crew =
        FakeCrew { plan: Box::new(|_| Ok(project_plan(&["one", "one"]))), ..FakeCrew::default() };
    let (store, _) = run(crew, Limits::default()).await;
    store.with(|memory| assert_eq!(memory.completed, ["one"]));
}

#[tokio::test]
async fn a_sub_planner_that_fails_costs_its_domain_alone() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let crew = FakeCrew {
        plan_domain: Box::new(move |(domain, _)| {
            if domain.name == "left" {
                count.fetch_add(1, Ordering::SeqCst);
                return Err(Setback::Attempt("it trapped".into()));
            }
            Ok(domain_plan(&["a task"], &[]))
        }),
        ..FakeCrew::default()
    };
    let (store, results) = run(crew, Limits::default()).await;
    assert_eq!(results.unwrap().len(), 1);
    assert_eq!(asked.load(Ordering::SeqCst), ROLE_ATTEMPTS);
    store.with(|memory| {
        assert!(
            memory.planner_failures[0].ends_with("it trapped"),
            "{:?}",
            memory.planner_failures
        );
        assert_eq!(memory.completed, ["a task"]);
    });
}

#[tokio::test]
async fn a_task_is_given_up_after_its_attempts_and_told_why() {
    let crew = FakeCrew {
        work: Box::new(|task| match (task.attempt, task.last_error.as_deref()) {
            (1, None) => Ok(report(false)),
            (2, Some("the worker gave up: the summary")) => {
                Err(Setback::Attempt("a conflict".into()))
            }
            (3, Some("a conflict")) => Err(Setback::Attempt("the last error".into())),
            other => Err(Setback::Attempt(format!("not told why: {other:?}"))),
        }),
        plan_domain: Box::new(|(_, _)| Ok(domain_plan(&["a task"], &[]))),
        plan: Box::new(|_| Ok(project_plan(&["one"]))),
        ..FakeCrew::default()
    };
    let (store, results) = run(crew, Limits::default()).await;
    assert_eq!(results.unwrap()[0].tasks_failed, 1);
    store.with(|memory| {
        assert_eq!(memory.failed, [("a task".to_owned(), "the last error".to_owned())])
    });
}

#[tokio::test]
async fn what_only_a_person_can_mend_stops_the_run() {
    let broken = || Err(Setback::Stop(Error::failed("the key is wrong")));
    let crews = [
        FakeCrew { plan: Box::new(move |_| broken()), ..FakeCrew::default() },
        FakeCrew {
            plan_domain: Box::new(move |_| Err(Setback::Stop(Error::failed("the key is wrong")))),
            ..FakeCrew::default()
        },
        FakeCrew {
            work: Box::new(move |_| Err(Setback::Stop(Error::failed("the key is wrong")))),
            ..FakeCrew::default()
        },
        FakeCrew {
            review: Box::new(move |_| Err(Setback::Stop(Error::failed("the key is wrong")))),
            ..FakeCrew::default()
        },
    ];
    for crew in crews {
        let (_, results) = run(crew, Limits::default()).await;
        assert_eq!(results, Err(Error::failed("the key is wrong")));
    }
}

#[tokio::test]
async fn a_main_planner_or_judge_that_never_answers_fails_the_run() {
    let plan =
        FakeCrew { plan: Box::new(|_| Err(Setback::Attempt("no".into()))), ..FakeCrew::default() };
    let review = FakeCrew {
        review: Box::new(|_| Err(Setback::Attempt("no".into()))),
        ..FakeCrew::default()
    };
    for (crew, role) in [(plan, "main-planner"), (review, "judge")] {
        let (_, results) = run(crew, Limits::default()).await;
        let error = results.unwrap_err().to_string();
        assert!(error.contains(role) && error.contains("no"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_lease_is_lost_is_dropped() {
    let crew = FakeCrew {
        work: Box::new(|_| panic!("the work goes on without its lease")),
        work_takes: Duration::from_secs(3600),
        ..FakeCrew::default()
    };
    let store = MemoryStore::default();
    store.with(|memory| memory.loses_leases = true);
    let results = run_on(&store, crew, Limits::default()).await.unwrap();
    assert_eq!(results[0].tasks_completed, 2, "by those who hold the leases now");
}

#[tokio::test(start_paused = true)]
async fn long_work_keeps_its_lease() {
    let crew = FakeCrew { work_takes: Duration::from_secs(7200), ..FakeCrew::default() };
    let (store, results) = run(crew, Limits::default()).await;
    assert_eq!(results.unwrap()[0].tasks_completed, 2);
    store.with(|memory| assert!(memory.failed.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_stop_ends_everybody_and_keeps_what_was_judged() {
    let (wish, stop) = watch::channel(false);
    let crew = FakeCrew {
        work_takes: Duration::from_secs(10),
        review: Box::new(|_| Ok(verdict(Decision::NextCycle))),
        ..FakeCrew::default()
    };
    let store = MemoryStore::default();
    let crew = Arc::new(crew);
    let cycles = run_cycles(&store, &crew, Limits::default(), stop);
    let wisher = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        wish.send_replace(true);
    };
    let ((results, ended), ()) = tokio::join!(cycles, wisher);
    assert_eq!((results.len(), ended), (1, Ended::Stopped));
    assert_eq!(Arc::strong_count(&crew), 1, "nobody is at work any more");
}

#[tokio::test]
async fn a_run_goes_on_where_it_stands() {
    let store = MemoryStore::default();
    let counts = Counts { completed: 4, failed: 1 };
    let verdict = verdict(Decision::NextCycle);
    let planner = Planner { id: "p".into(), depth: 1, domain: Some(testing::domain("left over")) };
    store.with(|memory| {
        memory.standing = Standing {
            ended: vec![EndedCycle { cycle: 1, counts, verdict }],
            open: Some(OpenCycle {
                cycle: 2,
                base: "base".into(),
                overview: "the overview".into(),
                planners: vec![planner],
                tasks: 3,
            }),
        };
    });
    let crew = FakeCrew {
        plan: Box::new(|_| panic!("the main planner has returned before")),
        ..FakeCrew::default()
    };
    let limits = Limits { max_tasks_per_cycle: 4, ..Limits::default() };
    let results = run_on(&store, crew, limits).await.unwrap();
    assert_eq!(results.iter().map(|result| result.cycle_number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(results[0].tasks_completed, 4);
    store.with(|memory| assert_eq!(memory.completed, ["left over"]));
}

#[tokio::test]
async fn a_run_whose_goal_was_met_just_before_its_host_died_is_over() {
    let store = MemoryStore::default();
    let ended =
        EndedCycle { cycle: 1, counts: Counts::default(), verdict: verdict(Decision::Stop) };
    store.with(|memory| memory.standing = Standing { ended: vec![ended], open: None });
    let crew =
        FakeCrew { plan: Box::new(|_| panic!("nothing is left to plan")), ..FakeCrew::default() };
    assert_eq!(run_on(&store, crew, Limits::default()).await.unwrap().len(), 1);
}
