//! What servers do wrong, or in their own way, on both wires: as streams,
//! which is how they are asked, and whole.

use model_server::{Fault, Quirk, Turn};

use super::*;

const WIRES: [&str; 2] = ["vllm:scripted", "anthropic:scripted"];
const STREAMED: [&[Quirk]; 2] = [&[], &[Quirk::NotStreamed]];

/// Limits that no answer comes near, however busy the machine is.
fn usual() -> TimeLimits {
    TimeLimits::of(Provider::Vllm)
}

/// Limits that a test can wait for. They are for those who wait for them alone.
fn short() -> TimeLimits {
    let long = Duration::from_secs(60);
    TimeLimits { connect: long, first_token: long, gap: Duration::from_millis(30), total: long }
}

/// One reply to a conversation whose only turn is this.
async fn reply(
    choice: &str,
    turn: Turn,
    limits: TimeLimits,
) -> (ModelServer, Model, Result<Reply, CallError>) {
    let server = serve(Rule::new(None, &["Task: X"]).turn(turn));
    let settings = ModelSettings { limits, ..settings_of(choice, &server.base_url()) };
    let (model, mut conversation) = started(settings).await;
    let outcome = conversation.reply().await;
    assert_eq!(server.violations(), Vec::<String>::new());
    (server, model, outcome)
}

#[tokio::test]
async fn a_conversation_is_well_formed_to_its_end() {
    for (choice, is_error) in WIRES.into_iter().flat_map(|wire| [(wire, false), (wire, true)]) {
        let both = [("look", json!({ "at": "ä".repeat(99) })), ("look", json!({}))];
        let expected = if is_error { "Error: seen" } else { "seen" };
        let rule = Rule::new(None, &["Task: X"])
            .turn(calls(&both).says("Looking.").quirks(&[Quirk::Reasoning]))
            .turn(text("Half done.").expects(&[expected]))
            .turn(text("Done.").expects(&["Go on."]));
        let server = serve(rule);
        let base = format!("{}/v1", server.base_url());
        let (_, mut conversation) = started(settings_of(choice, &base)).await;
        let first = conversation.reply().await.unwrap();
        assert_eq!((first.text.as_str(), first.stop), ("Looking.", Stop::ToolCalls), "{choice}");
        assert_eq!(first.calls[0].arguments, both[0].1.to_string());
        assert_eq!(first.calls[1].arguments, "{}");
        let results = first.calls.iter().map(|call| result(&call.id, "seen"));
        let results = results.map(|result| ToolResult { is_error, ..result }).collect();
        conversation.answer(results).unwrap();
        let second = conversation.reply().await.unwrap();
        assert_eq!((second.text.as_str(), second.stop), ("Half done.", Stop::End));
        conversation.say("Go on.".to_owned()).unwrap();
        let third = conversation.reply().await.unwrap();
        assert!(third.usage.input_tokens > second.usage.input_tokens, "{choice}");
        assert_eq!(third.usage.cached_input_tokens > 0, choice.starts_with("anthropic"));
        assert_eq!(server.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn results_and_words_after_them_are_one_turn_and_emptied_results_stay_well_formed() {
    for choice in WIRES {
        let rule = Rule::new(None, &[])
            .turn(call("look", json!({})))
            .turn(call("look", json!({})).expects(&["Hurry."]))
            .turn(text("Done.").expects(&["new"]));
        let server = serve(rule);
        let (_, mut conversation) = started(settings_of(choice, &server.base_url())).await;
        for (output, words) in [("old ".repeat(50), Some("Hurry.")), ("new".to_owned(), None)] {
            let reply = conversation.reply().await.unwrap();
            conversation.answer(vec![result(&reply.calls[0].id, &output)]).unwrap();
            if let Some(words) = words {
                conversation.say(words.to_owned()).unwrap();
            }
        }
        let before = server.load().requests;
        conversation.elide_results(1);
        assert_eq!(conversation.reply().await.unwrap().text, "Done.", "{choice}");
        assert_eq!((server.load().requests, server.violations()), (before + 1, Vec::new()));
    }
}

#[tokio::test]
async fn faults_that_pass_are_tried_again_and_named_where_they_stay() {
    for (fault, named) in [
        (Fault::Stall(6), "--gap-timeout"),
        (Fault::Reset(4), "connection failed"),
        (Fault::HalfJson, "no JSON object"),
        (Fault::Html, "Welcome to the gateway"),
        (Fault::InvalidUtf8, "no UTF-8"),
    ] {
        let limits = if matches!(fault, Fault::Stall(_)) { short() } else { usual() };
        for (choice, quirks) in WIRES.into_iter().flat_map(|wire| STREAMED.map(|how| (wire, how))) {
            let turn = text("Well, here I am.").quirks(quirks);
            let passes = turn.clone().fault(fault, Some(2));
            let (server, _, outcome) = reply(choice, passes, limits).await;
            let said = outcome.map(|reply| reply.text);
            assert_eq!(said, Ok("Well, here I am.".to_owned()), "{choice} {fault:?} {quirks:?}");
            assert_eq!(server.load().requests, 3);

            let (_, model, outcome) = reply(choice, turn.fault(fault, None), limits).await;
            let sentence = unavailable(outcome);
            let all = sentence.contains(named) && sentence.contains("3 times");
            assert!(all, "{choice} {quirks:?}: {sentence} should contain {named}");
            assert_eq!(model.broken(), None);
        }
    }
}

#[tokio::test]
async fn an_error_in_an_answer_is_sorted_like_a_status() {
    for (choice, quirks) in WIRES.into_iter().flat_map(|wire| STREAMED.map(|how| (wire, how))) {
        let turn = text("Hi.").quirks(quirks);
        let passes = turn.clone().fault(Fault::ErrorObject, Some(2));
        let (server, _, outcome) = reply(choice, passes, usual()).await;
        assert_eq!(outcome.unwrap().text, "Hi.");
        assert_eq!(server.load().requests, 3);
        let stays = turn.fault(Fault::ErrorObject, None);
        let sentence = unavailable(reply(choice, stays, usual()).await.2);
        assert!(sentence.contains("Overloaded"), "{sentence}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_refused_at_once() {
    for (choice, quirks) in WIRES.into_iter().flat_map(|wire| STREAMED.map(|how| (wire, how))) {
        let turn = text("Hi.").quirks(quirks).fault(Fault::Endless, None);
        let (server, model, outcome) = reply(choice, turn, usual()).await;
        let sentence = unavailable(outcome);
        let refused = ["16 MiB", "4 MiB"].iter().any(|bound| sentence.contains(bound));
        assert!(refused, "{sentence}");
        assert_eq!((server.load().requests, model.broken()), (1, None));
    }
}

#[tokio::test]
async fn silence_before_the_first_token_is_borne_longer_than_a_gap() {
    for choice in WIRES {
        // What comes before the first token is no beginning.
        let turn = text("Hi.").fault(Fault::Stall(2), None);
        let server = serve(Rule::new(None, &[]).turn(turn));
        let limits = TimeLimits { first_token: Duration::from_millis(90), ..short() };
        let settings = settings_of(choice, &server.base_url());
        let (_, mut conversation) = started(ModelSettings { limits, ..settings }).await;
        let sentence = unavailable(conversation.reply().await);
        assert!(sentence.contains("90ms (--first-token-timeout)"), "{sentence}");

        let limits = TimeLimits { total: Duration::from_millis(20), ..limits };
        let settings = settings_of(choice, &server.base_url());
        let (_, mut conversation) = started(ModelSettings { limits, ..settings }).await;
        let sentence = unavailable(conversation.reply().await);
        assert!(sentence.contains("20ms (--request-timeout)"), "{sentence}");
    }
}

#[tokio::test]
async fn habits_of_real_servers_are_borne() {
    let looks = [("look", json!({ "at": "a" })), ("look", json!({ "at": "b" }))];
    for quirk in
        [Quirk::NoUsage, Quirk::NoIds, Quirk::SameIds, Quirk::ArgumentsAsObject, Quirk::Reasoning]
    {
        for (choice, how) in WIRES.into_iter().flat_map(|wire| STREAMED.map(|how| (wire, how))) {
            let turn = calls(&looks).says("Looking.").quirks(how).quirks(&[quirk]);
            let (_, _, outcome) = reply(choice, turn, usual()).await;
            let reply = outcome.unwrap();
            assert_eq!(reply.text, "Looking.", "{choice} {quirk:?}");
            let arguments: Vec<_> = reply.calls.iter().map(|call| &call.arguments).collect();
            assert_eq!(arguments, [r#"{"at":"a"}"#, r#"{"at":"b"}"#], "{choice} {quirk:?}");
            assert_ne!(reply.calls[0].id, reply.calls[1].id);
            assert!(reply.usage.input_tokens > 0, "told or estimated");
        }
    }
    for how in STREAMED {
        let turn = text("Hi.").quirks(how).quirks(&[Quirk::EmptyChoices]);
        let sentence = unavailable(reply(WIRES[0], turn, usual()).await.2);
        assert!(sentence.contains("no choice"), "{sentence}");
    }
}

#[tokio::test]
async fn a_server_without_a_parser_for_calls_is_recognised() {
    let raw = "<tool_call>\n{\"name\": \"look\", \"arguments\": {}}\n</tool_call>";
    let (server, model, outcome) = reply(WIRES[0], text(raw), usual()).await;
    let sentence = unavailable(outcome);
    for flag in ["--enable-auto-tool-choice", "--tool-call-parser"] {
        assert!(sentence.contains(flag), "{sentence}");
    }
    assert_eq!(model.broken(), Some(Error::Failed(sentence)));
    assert_eq!(server.load().requests, 1);

    // Who has seen a call as such takes this for a slip of the model.
    let rule = Rule::new(None, &[]).turn(call("look", json!({}))).turn(text(raw));
    let server = serve(rule);
    let (_, mut conversation) = started(settings(&server.base_url())).await;
    let reply = conversation.reply().await.unwrap();
    conversation.answer(vec![result(&reply.calls[0].id, "seen")]).unwrap();
    assert_eq!(conversation.reply().await.unwrap().text, raw);
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_named_on_the_messages_wire_too() {
    let error = |kind: &str, message: &str| {
        json!({ "type": "error", "error": { "type": kind, "message": message } }).to_string()
    };
    for (code, body, part) in [
        (
            401,
            error("authentication_error", "invalid x-api-key sk-0123456789"),
            "set ANTHROPIC_API_KEY",
        ),
        (404, error("not_found_error", "model: scripted"), "it offers `scripted`"),
        (400, error("invalid_request_error", "Your credit balance is too low"), "add credit"),
    ] {
        let server = serve(Rule::new(None, &[]).turn(status(code, &body)));
        let settings = settings_of(WIRES[1], &server.base_url());
        let api_key = Secret::new("sk-0123456789");
        let (model, mut conversation) = started(ModelSettings { api_key, ..settings }).await;
        let sentence = unavailable(conversation.reply().await);
        assert!(sentence.contains(part) && !sentence.contains("sk-0123456789"), "{sentence}");
        assert_eq!(model.broken(), Some(Error::Failed(sentence)));
        assert!(server.requests()[0].authorized, "the key was sent");
    }
    let choice = ModelChoice::parse("anthropic:claude-x").unwrap();
    let error = Model::connect(ModelSettings::new(choice)).await.unwrap_err();
    assert!(error.to_string().contains("ANTHROPIC_API_KEY"), "{error}");
}

#[tokio::test]
async fn the_messages_wire_marks_what_the_server_shall_cache() {
    let (base, served) = serve_raw(vec![ok(r#"{"content":[],"stop_reason":"end_turn"}"#)]);
    let (_, mut conversation) = started(settings_of(WIRES[1], &base)).await;
    conversation.reply().await.unwrap();
    let request: Value = serde_json::from_str(&served.join().unwrap()[0]).unwrap();
    let mark = json!({ "type": "ephemeral" });
    let expected = json!({
        "model": "scripted",
        "max_tokens": 8192,
        "stream": true,
        "tools": [{
            "name": "look",
            "description": "A tool.",
            "input_schema": { "type": "object" },
            "cache_control": mark,
        }],
        "system": [{ "type": "text", "text": "Be brief.", "cache_control": mark }],
        "messages": [{
            "role": "user",
            "content": [{ "type": "text", "text": "Task: X", "cache_control": mark }],
        }],
    });
    assert_eq!(request, expected);
}
