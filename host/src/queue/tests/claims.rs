//! Claims, their leases and their ends.

use super::{CYCLE, Queue, landing, report};
use crate::events::Event;
use crate::queue::{Claim, LEASE, MAX_ATTEMPTS, Store};
use crate::types::Priority;

#[tokio::test]
async fn the_most_urgent_task_is_claimed_first_then_the_oldest() {
    use Priority::{Critical, High, Low, Medium};
    let queue = Queue::with(&[
        ("low", Low),
        ("older medium", Medium),
        ("high", High),
        ("newer medium", Medium),
        ("critical", Critical),
    ])
    .await;
    let mut claimed = Vec::new();
    while let Some(claim) = queue.claim("worker-1").await {
        assert_eq!((claim.task.attempt, claim.task.last_error), (1, None));
        claimed.push(claim.task.draft.title);
    }
    assert_eq!(claimed, ["critical", "high", "older medium", "newer medium", "low"]);
    assert_eq!(queue.store.claim(CYCLE + 1, "worker-1").await.unwrap(), None);
    assert_eq!(queue.store.open_tasks(CYCLE).await.unwrap(), 5, "claimed is not done");
}

#[tokio::test]
async fn a_lease_holds_as_long_as_it_is_renewed() {
    let queue = Queue::with(&[("task", Priority::High)]).await;
    let claim = queue.claim("worker-1").await.unwrap();
    for _ in 0..3 {
        queue.clock.advance(LEASE / 2);
        assert!(queue.store.renew(&claim).await.unwrap());
        assert_eq!(queue.claim("worker-2").await, None);
    }
    queue.lease_runs_out();
    let second = queue.claim("worker-2").await.unwrap();
    assert_eq!((second.task.id.as_str(), second.task.attempt), (claim.task.id.as_str(), 2));
    assert!(second.task.last_error.unwrap().contains("lease"));
    let failed = queue.events().into_iter().find(|event| {
        matches!(event, Event::AttemptFailed { attempt: 1, again: true, error, .. } if error.contains("lease"))
    });
    assert!(failed.is_some(), "{:?}", queue.events());
}

#[tokio::test]
async fn who_lost_a_claim_changes_nothing_any_more() {
    let queue = Queue::with(&[("lost", Priority::High), ("held", Priority::Low)]).await;
    let lost = queue.claim("worker-1").await.unwrap();
    queue.lease_runs_out();
    let second = queue.claim("worker-1").await.unwrap();
    let held = queue.claim("worker-2").await.unwrap();
    let told = queue.events().len();

    assert!(!queue.store.renew(&lost).await.unwrap());
    assert!(!queue.store.complete(&lost, report()).await.unwrap());
    assert!(!queue.store.fail_attempt(&lost, "late".into()).await.unwrap());
    let rows = vec![landing("one", &held, None), landing("two", &lost, Some(report()))];
    let store = queue.store.clone();
    let late = tokio::task::spawn_blocking(move || store.record_landings(rows)).await.unwrap();
    assert_eq!(late.unwrap(), ["two"]);
    assert_eq!(queue.count("landings"), 0, "a group that is late in part is not written in part");
    assert_eq!(queue.events().len(), told);
    assert!(queue.store.complete(&second, report()).await.unwrap(), "the new claim stands");
}

#[tokio::test]
async fn leases_that_run_out_use_the_attempts_up() {
    let queue = Queue::with(&[("task", Priority::High)]).await;
    for attempt in 1..=MAX_ATTEMPTS {
        assert_eq!(queue.claim("worker-1").await.unwrap().task.attempt, attempt);
        queue.lease_runs_out();
    }
    assert_eq!(queue.claim("worker-2").await, None);
    assert_eq!(queue.store.open_tasks(CYCLE).await.unwrap(), 0);
    let state = queue.store.cycle_state(CYCLE).await.unwrap();
    assert!(!state.outcomes[0].completed && state.outcomes[0].summary.contains("lease"));
    let Some(Event::TaskFailed { error, .. }) = queue.events().pop() else {
        panic!("{:?}", queue.events());
    };
    assert!(error.contains("lease"), "{error}");
}

#[tokio::test]
async fn each_attempt_is_told_why_the_last_one_failed() {
    let queue = Queue::with(&[("task", Priority::High)]).await;
    let mut last_error = None;
    for attempt in 1..=MAX_ATTEMPTS {
        let claim = queue.claim("worker-1").await.unwrap();
        assert_eq!((claim.task.attempt, claim.task.last_error.clone()), (attempt, last_error));
        let error = format!("reason {attempt}");
        assert!(queue.store.fail_attempt(&claim, error.clone()).await.unwrap());
        assert!(!queue.store.fail_attempt(&claim, error.clone()).await.unwrap(), "only once");
        last_error = Some(error);
    }
    assert_eq!(queue.claim("worker-1").await, None);
    let failed: Vec<bool> = queue
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::AttemptFailed { again, .. } => Some(*again),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [true, true, false]);
    assert_eq!(queue.store.cycle_state(CYCLE).await.unwrap().outcomes[0].summary, "reason 3");
}

#[tokio::test]
async fn completing_twice_is_answered_truly_and_told_once() {
    let queue = Queue::with(&[("task", Priority::High)]).await;
    let claim = queue.claim("worker-1").await.unwrap();
    let impostor = Claim { slot: "worker-2".into(), ..claim.clone() };
    assert!(!queue.store.complete(&impostor, report()).await.unwrap());
    assert!(queue.store.complete(&claim, report()).await.unwrap());
    assert!(queue.store.complete(&claim, report()).await.unwrap(), "it is completed by this claim");
    assert!(!queue.store.complete(&impostor, report()).await.unwrap());
    let done = |event: &Event| matches!(event, Event::TaskCompleted { .. });
    assert_eq!(queue.events().into_iter().filter(done).count(), 1);
    let outcome = queue.store.cycle_state(CYCLE).await.unwrap().outcomes.remove(0);
    assert_eq!((outcome.completed, outcome.summary.as_str()), (true, "done"));
    assert_eq!(outcome.notes, ["a note"]);
}

#[tokio::test]
async fn what_is_landing_is_not_taken_away_when_its_lease_runs_out() {
    let queue = Queue::with(&[("task", Priority::High)]).await;
    let claim = queue.claim("worker-1").await.unwrap();
    let row = landing("one", &claim, Some(report()));
    let (store, rows) = (queue.store.clone(), vec![row.clone()]);
    let late = tokio::task::spawn_blocking(move || store.record_landings(rows)).await.unwrap();
    assert_eq!(late.unwrap(), Vec::<String>::new());
    queue.lease_runs_out();
    assert_eq!(queue.claim("worker-2").await, None);

    let store = queue.store.clone();
    let confirm = move || store.confirm_landings(vec![row]);
    tokio::task::spawn_blocking(confirm).await.unwrap().unwrap();
    let outcome = queue.store.cycle_state(CYCLE).await.unwrap().outcomes.remove(0);
    assert!(outcome.completed);
    assert_eq!(
        (outcome.commits, outcome.changed_files),
        (vec!["commit of one".into()], vec!["src/lib.rs".into()])
    );
    let events = queue.events();
    let [.., Event::Landed { commit, .. }, Event::TaskCompleted { .. }] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(commit, "commit of one");
    assert!(queue.store.complete(&claim, report()).await.unwrap(), "its landing completed it");
}
