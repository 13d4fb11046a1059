//! What the view makes of a run's events.

use super::*;
use crate::types::{Decision, Role, Usage};

/// Folds the events, one second apart.
fn fold(view: &mut RunView, events: impl IntoIterator<Item = Event>) {
    for event in events {
        let second = view.updated_at.get(17..19).map_or(0, |second| second.parse().unwrap()) + 1;
        view.apply(&Recorded {
            sequence: second,
            time: format!("2026-01-01T00:00:{second:02}.000Z"),
            run: "r1".into(),
            who: "host".into(),
            event,
        });
    }
}

fn run_started() -> Event {
    Event::RunStarted {
        goal: "Write".into(),
        branch: "main".into(),
        base: "c0".into(),
        model: "scripted".into(),
        max_cycles: 3,
        max_workers: 2,
    }
}

fn planner_started(planner: &str, parent: Option<&str>) -> Event {
    Event::PlannerStarted {
        planner: planner.into(),
        role: if parent.is_some() { Role::SubPlanner } else { Role::MainPlanner },
        domain: parent.map(|_| format!("domain {planner}")),
        parent: parent.map(str::to_owned),
    }
}

fn planner_finished(planner: &str, tasks: u32, sub_planners: u32) -> Event {
    let (planner, domain) = (planner.to_owned(), None);
    Event::PlannerFinished { planner, domain, tasks, sub_planners, left_out: 0 }
}

fn attempt_started(task: &str, attempt: u32, slot: &str, planner: &str) -> Event {
    Event::AttemptStarted {
        task: task.into(),
        title: format!("Do {task}"),
        attempt,
        slot: slot.into(),
        planner: planner.into(),
    }
}

fn attempt_failed(task: &str, again: bool) -> Event {
    let (task, title, error) = (task.to_owned(), String::new(), "why".to_owned());
    Event::AttemptFailed { task, title, attempt: 1, error, again }
}

fn completed(task: &str) -> Event {
    let (task, title, summary) = (task.to_owned(), String::new(), String::new());
    Event::TaskCompleted { task, title, attempt: 1, summary }
}

fn counts(pending: u32, in_progress: u32, completed: u32, failed: u32) -> TaskCounts {
    TaskCounts { pending, in_progress, completed, failed }
}

/// A run with a main planner, a domain of three tasks and one that still plans.
fn planned() -> RunView {
    let mut view = RunView::default();
    fold(
        &mut view,
        [
            run_started(),
            Event::CycleStarted { cycle: 1, base: "c0".into() },
            planner_started("main", None),
            planner_finished("main", 0, 3),
            planner_started("a", Some("main")),
            planner_started("b", Some("main")),
            planner_finished("a", 3, 0),
        ],
    );
    view
}

#[test]
fn planners_are_a_tree_with_counts() {
    let mut view = planned();
    fold(
        &mut view,
        [
            attempt_started("t1", 1, "worker-10", "a"),
            attempt_started("t2", 1, "worker-2", "a"),
            completed("t1"),
            Event::Landed { task: "t1".into(), commit: "c1".into() },
        ],
    );
    let cycle = &view.cycles[0];
    let domains: Vec<_> = cycle
        .children(Some("main"))
        .map(|planner| (planner.planner.as_str(), planner.state, planner.tasks))
        .collect();
    assert_eq!(
        domains,
        [
            ("a", PlannerState::Finished, counts(1, 1, 1, 0)),
            ("b", PlannerState::Planning, counts(0, 0, 0, 0)),
        ]
    );
    assert_eq!(cycle.children(None).next().unwrap().sub_planners, 3);
    assert_eq!((view.tasks, cycle.tasks), (counts(1, 1, 1, 0), counts(1, 1, 1, 0)));
    assert_eq!((view.tip.as_str(), view.max_cycles, view.phase), ("c1", 3, Phase::Going));
    let [worker] = &view.workers[..] else { panic!("{:?}", view.workers) };
    assert_eq!((worker.title.as_str(), worker.slot.as_str()), ("Do t2", "worker-2"));
    assert_eq!(worker.since, "2026-01-01T00:00:09.000Z");
}

#[test]
fn a_failed_attempt_is_pending_again_and_the_last_one_is_given_up() {
    let mut view = planned();
    fold(&mut view, [attempt_started("t1", 1, "worker-1", "a"), attempt_failed("t1", true)]);
    assert_eq!((view.tasks, view.workers.len()), (counts(3, 0, 0, 0), 0));
    let failed = Event::TaskFailed { task: "t1".into(), title: String::new(), error: "why".into() };
    fold(&mut view, [attempt_started("t1", 3, "worker-1", "a"), attempt_failed("t1", false)]);
    fold(&mut view, [failed]);
    assert_eq!((view.tasks, view.workers.len()), (counts(2, 0, 0, 1), 0));
    assert_eq!(view.cycles[0].planners[1].tasks, counts(2, 0, 0, 1));
}

#[test]
fn a_resumed_run_goes_on_where_it_stood() {
    let mut view = planned();
    let ended = |outcome| Event::RunEnded { outcome, message: Some("the disk is full".into()) };
    fold(
        &mut view,
        [attempt_started("t1", 1, "worker-1", "a"), Event::Stopping, ended(Outcome::Failed)],
    );
    assert_eq!((view.phase, view.outcome), (Phase::Ended, Some(Outcome::Failed)));
    assert_eq!(view.message.as_deref(), Some("the disk is full"));
    fold(
        &mut view,
        [
            Event::TaskReturned { task: "t1".into(), title: String::new() },
            Event::RunResumed { tip: "c5".into(), max_cycles: 9, max_workers: 4 },
            // The planner that had not returned is asked again.
            planner_started("b", Some("main")),
            attempt_started("t1", 1, "worker-4", "a"),
        ],
    );
    assert_eq!((view.phase, view.outcome, view.message.clone()), (Phase::Going, None, None));
    assert_eq!((view.resumed, view.max_cycles, view.max_workers), (1, 9, 4));
    assert_eq!(view.tip, "c5");
    assert_eq!(view.cycles[0].planners.len(), 3, "no planner stands twice");
    assert_eq!(view.tasks, counts(2, 1, 0, 0));
    assert_eq!(
        view.workers.iter().map(|worker| worker.slot.as_str()).collect::<Vec<_>>(),
        ["worker-4"]
    );
}

#[test]
fn a_planner_that_gave_up_says_why() {
    let mut view = planned();
    let (planner, domain, error) = ("b".to_owned(), None, "it loops".to_owned());
    fold(&mut view, [Event::PlannerFailed { planner, domain, error }]);
    let planner = &view.cycles[0].planners[2];
    assert_eq!((planner.state, planner.error.as_deref()), (PlannerState::Failed, Some("it loops")));
    assert_eq!(view.tasks, counts(3, 0, 0, 0));
}

#[test]
fn a_judged_cycle_clears_what_is_pending_and_tokens_add_up() {
    let mut view = planned();
    let used = |role, input_tokens| Event::ModelUsed {
        role,
        subject: None,
        usage: Usage { input_tokens, cached_input_tokens: 1, output_tokens: 2 },
    };
    let judged = Event::CycleEnded {
        cycle: 1,
        completed: 1,
        failed: 0,
        decision: Decision::NextCycle,
        goal_met: false,
        reasoning: "More.".into(),
    };
    fold(&mut view, [attempt_started("t1", 1, "worker-1", "a"), completed("t1")]);
    fold(&mut view, [used(Role::Worker, 10), used(Role::Worker, 20), used(Role::Judge, 5), judged]);
    fold(&mut view, [Event::CycleStarted { cycle: 2, base: "c1".into() }]);
    assert_eq!((view.tasks, view.cycles[0].tasks), (counts(0, 0, 1, 0), counts(0, 0, 1, 0)));
    assert_eq!(view.cycles[0].verdict.as_ref().unwrap().reasoning, "More.");
    assert_eq!(view.cycles[1].tasks, counts(0, 0, 0, 0));
    let total = Usage { input_tokens: 35, cached_input_tokens: 3, output_tokens: 6 };
    assert_eq!(view.usage.total, total);
    assert_eq!(view.usage.by_role[&Role::Worker].input_tokens, 30);
    let json = serde_json::to_string(&view).unwrap();
    assert_eq!(serde_json::from_str::<RunView>(&json).unwrap(), view, "it is plain data");
}

#[test]
fn events_from_before_a_field_was_there_are_read() {
    let old = r#"{"sequence":1,"time":"t","run":"r","who":"host","event":"run-started",
                  "goal":"g","branch":"b","base":"c","model":"m"}"#;
    let mut view = RunView::default();
    view.apply(&serde_json::from_str(old).unwrap());
    assert_eq!((view.goal.as_str(), view.max_cycles), ("g", 0));
}
