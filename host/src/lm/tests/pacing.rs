//! Many conversations against a server that takes few requests at once.
//!
//! `cargo test -p code-agent --lib lm::tests::pacing -- --nocapture` prints
//! what the storm came to.

use std::time::Instant;

use super::*;

/// Each conversation's turns before its last one.
const TURNS: usize = 6;

fn busy_server(max_in_flight: usize, delay_ms: u64) -> ModelServer {
    let mut rule = Rule::new(None, &["Task: X"]);
    for _ in 0..TURNS {
        rule = rule.turn(call("look", json!({ "at": "here" })));
    }
    let rule = rule.turn(text("Done."));
    let max_in_flight = Some(max_in_flight);
    let script = Script { max_in_flight, delay_ms: Some(delay_ms), ..Script::new([rule]) };
    ModelServer::start(script).unwrap()
}

/// Lets so many conversations run to their end, each `times` in a row, and
/// returns how long it took; `cap`: the hard cap on requests in flight.
async fn talk(server: &ModelServer, count: usize, times: usize, cap: Option<u32>) -> Duration {
    let settings = ModelSettings { max_requests: cap, ..settings(&server.base_url()) };
    let model = Model::connect(settings).await.unwrap();
    let started = Instant::now();
    let talks: Vec<_> = (0..count).map(|_| tokio::spawn(talk_on(model.clone(), times))).collect();
    for talk in talks {
        talk.await.unwrap();
    }
    started.elapsed()
}

async fn talk_on(model: Model, times: usize) {
    for _ in 0..times {
        let tools = vec![tool("look", r#"{"type":"object"}"#)];
        let mut conversation = model.open("Be brief.".to_owned(), tools, None).unwrap();
        conversation.say("Task: X".to_owned()).unwrap();
        for _ in 0..TURNS {
            let reply = conversation.reply().await.unwrap();
            conversation.answer(vec![result(&reply.calls[0].id, "seen")]).unwrap();
        }
        assert_eq!(conversation.reply().await.unwrap().text, "Done.");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_conversations_keep_a_server_that_takes_eight_busy_and_never_storm_it() {
    // The bound is for what comes after the first five seconds of a long run;
    // here it is after the first tenth.
    storm(1, |took| took / 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes most of a minute"]
async fn two_hundred_conversations_for_longer() {
    let throughput = storm(5, |_| Duration::from_secs(5)).await;
    // The figure to reach is 0.85; other work on the machine may spoil one of
    // the two runs, so only a collapse fails.
    assert!(throughput > 0.5, "{throughput}");
}

/// Returns the throughput against that of clients that are always busy: a figure of
/// this machine at this moment, so that who makes the test in passing only sees it.
async fn storm(times: usize, warm_up: fn(Duration) -> Duration) -> f64 {
    const PLACES: usize = 8;
    let server = busy_server(PLACES, 20);
    let took = talk(&server, 200, times, None).await;
    let load = server.load();
    let other = busy_server(PLACES, 20);
    let always_busy = talk(&other, PLACES, times * 200 / PLACES, Some(8)).await;

    let warm_up = warm_up(took);
    let late = |times: &[Duration]| times.iter().filter(|time| **time > warm_up).count();
    let (refused, admitted) = (late(&load.refusals), late(&load.admissions));
    let share = refused as f64 / (refused + admitted) as f64;
    let throughput = always_busy.as_secs_f64() / took.as_secs_f64();
    println!(
        "200 conversations took {took:.2?}, {PLACES} always busy clients {always_busy:.2?} for the \
         same: throughput {:.1} %; {} requests, refused {} in all, {refused} after the first \
         {warm_up:.2?}: {:.1} %; at most {} in flight",
        throughput * 100.0,
        load.requests,
        load.refusals.len(),
        share * 100.0,
        load.most_in_flight,
    );
    assert_eq!(server.violations(), Vec::<String>::new());
    let answered = load.requests as usize - load.refusals.len();
    assert_eq!(answered, 200 * times * (TURNS + 1), "each was answered once");
    assert_eq!(load.most_in_flight, PLACES);
    assert!(share <= 0.15, "{share}");
    assert_eq!(other.load().refusals, []);
    throughput
}

#[tokio::test]
async fn a_hard_cap_holds_for_all_models_on_a_server() {
    let server = busy_server(3, 1);
    let paces = Paces::default();
    let mut talks = Vec::new();
    for _ in 0..4 {
        let (max_requests, paces) = (Some(3), paces.clone());
        let settings = ModelSettings { max_requests, paces, ..settings(&server.base_url()) };
        let model = Model::connect(settings).await.unwrap();
        talks.extend((0..5).map(|_| tokio::spawn(talk_on(model.clone(), 1))));
    }
    for talk in talks {
        talk.await.unwrap();
    }
    assert_eq!(server.load().refusals, []);
    assert_eq!(server.load().most_in_flight, 3);
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_given_up() {
    let server = busy_server(0, 0);
    let (_, mut conversation) = started(settings(&server.base_url())).await;
    let sentence = unavailable(conversation.reply().await);
    assert!(sentence.contains("3 times") && sentence.contains("429"), "{sentence}");
    assert_eq!(server.load().requests, 3);
}
