//! Conversations over real HTTP: against the scripted server, which checks
//! every request, and against one that answers what servers should not.

mod both_wires;
mod pacing;
mod raw_server;

use std::net::TcpListener;
use std::time::Duration;

use model_server::{ModelServer, Rule, Script, call, calls, status, text};
use serde_json::{Value, json};

use raw_server::{ok, serve_raw};

use super::retry::BackOff;
use super::*;
use crate::Error;
use crate::types::{CallError, ToolResult, ToolSpec};

const GOOD: &str = r#"{"choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}]}"#;

fn settings(base: &str) -> ModelSettings {
    settings_of("vllm:scripted", base)
}

fn settings_of(choice: &str, base: &str) -> ModelSettings {
    let choice = ModelChoice::parse(choice).unwrap();
    ModelSettings { api_base: Some(base.to_owned()), ..ModelSettings::new(choice) }
}

/// Two retries, after waits that no test notices.
async fn connect(settings: ModelSettings) -> Model {
    let back_off = BackOff { retries: 2, first: Duration::from_millis(1), random: || 0.0 };
    Model::connect_with(settings, back_off).await.unwrap()
}

fn tool(name: &str, parameters: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "A tool.".to_owned(),
        parameters: parameters.to_owned(),
        writes: false,
    }
}

fn result(id: &str, output: &str) -> ToolResult {
    ToolResult { id: id.to_owned(), output: output.to_owned(), is_error: false }
}

/// A conversation in which the user has said something.
async fn started(settings: ModelSettings) -> (Model, Conversation) {
    let model = connect(settings).await;
    let tools = vec![tool("look", r#"{"type":"object"}"#)];
    let mut conversation = model.open("Be brief.".to_owned(), tools, None).unwrap();
    conversation.say("Task: X".to_owned()).unwrap();
    (model, conversation)
}

fn serve(rule: Rule) -> ModelServer {
    ModelServer::start(Script::new([rule])).unwrap()
}

fn unavailable(outcome: Result<Reply, CallError>) -> String {
    match outcome {
        Err(CallError::Unavailable(sentence)) => sentence,
        other => panic!("expected an unavailable model, got {other:?}"),
    }
}

#[tokio::test]
async fn a_conversation_is_well_formed_to_its_end() {
    let both = [("look", json!({ "at": "a" })), ("look", json!({ "at": "b" }))];
    let rule = Rule::new(None, &["Task: X"])
        .turn(calls(&both).says("Looking."))
        .turn(text("Done.").expects(&["Error: seen b"]));
    let script = Script { context_window: Some(1000), ..Script::new([rule]) };
    let server = ModelServer::start(script).unwrap();
    let choice = ModelChoice::parse("vllm:").unwrap();
    let (model, mut conversation) =
        started(ModelSettings { choice, ..settings(&server.base_url()) }).await;
    assert_eq!(model.name(), "scripted");

    let first = conversation.reply().await.unwrap();
    assert_eq!((first.text.as_str(), first.stop), ("Looking.", Stop::ToolCalls));
    assert_eq!(first.calls[1].arguments, r#"{"at":"b"}"#);
    let failed = ToolResult { is_error: true, ..result(&first.calls[1].id, "seen b") };
    conversation.answer(vec![result(&first.calls[0].id, "seen a"), failed]).unwrap();
    let second = conversation.reply().await.unwrap();
    assert_eq!((second.text.as_str(), second.stop), ("Done.", Stop::End));

    let total = conversation.usage().input_tokens;
    assert_eq!(total, first.usage.input_tokens + second.usage.input_tokens);
    let used = second.usage.input_tokens + second.usage.output_tokens;
    assert_eq!(second.context_used, Some(used as f32 / 1000.0));
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(server.requests().len(), 2);
    assert!(!server.requests()[0].authorized);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for (failures, retry_after) in [(500, None), (429, Some(0)), (529, None)] {
        let rule = Rule::new(None, &[]).fail_first(2, failures, retry_after).turn(text("Hi."));
        let server = serve(rule);
        let (model, mut conversation) = started(settings(&server.base_url())).await;
        assert_eq!(conversation.reply().await.unwrap().text, "Hi.");
        assert_eq!(server.requests().len(), 3);
        assert_eq!(model.broken(), None);
    }
}

#[tokio::test]
async fn who_gives_up_says_where_how_often_and_why_and_can_ask_again() {
    let server = serve(Rule::new(None, &[]).fail_first(3, 503, None).turn(text("Hi.")));
    let (_, mut conversation) = started(settings(&server.base_url())).await;
    let sentence = unavailable(conversation.reply().await);
    for part in [&server.base_url(), "3 times", "503", "that the script wants"] {
        assert!(sentence.contains(part), "{sentence} should contain {part}");
    }
    assert_eq!(conversation.reply().await.unwrap().text, "Hi.");
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_person_has_to_mend_breaks_the_model() {
    let quota = r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#;
    let parser = r#"{"message":"\"auto\" needs --enable-auto-tool-choice","code":400}"#;
    for (code, body, part) in [
        (401, r#"{"error":"wrong key sk-0123456789"}"#, "set VLLM_API_KEY"),
        (404, r#"{"error":"no such model"}"#, "it offers `scripted`"),
        (429, quota, "add credit"),
        (400, parser, "--tool-call-parser"),
    ] {
        let server = serve(Rule::new(None, &[]).turn(status(code, body)));
        let api_key = Secret::new("sk-0123456789");
        let (model, mut conversation) =
            started(ModelSettings { api_key, ..settings(&server.base_url()) }).await;
        assert_eq!(model.broken(), None);
        let sentence = unavailable(conversation.reply().await);
        assert!(sentence.contains(part) && sentence.contains(&server.base_url()), "{sentence}");
        assert!(!sentence.contains("sk-0123456789"), "{sentence}");
        assert_eq!(model.broken(), Some(Error::Failed(sentence.clone())));
        assert_eq!(unavailable(conversation.reply().await), sentence);
        assert_eq!(server.requests().len(), 1, "a broken model is not asked again");
        assert!(server.requests()[0].authorized);
    }
}

#[tokio::test]
async fn what_the_conversation_has_to_mend_is_told_apart() {
    let long = r#"{"error":{"message":"Too long.","code":"context_length_exceeded"}}"#;
    let server = serve(Rule::new(None, &[]).turn(status(400, long)));
    let (_, mut conversation) = started(settings(&server.base_url())).await;
    assert!(matches!(conversation.reply().await, Err(CallError::TooLong(_))));

    let server = serve(Rule::new(None, &[]).turn(status(422, "no such field")));
    let (model, mut conversation) = started(settings(&server.base_url())).await;
    match conversation.reply().await {
        Err(CallError::Invalid(sentence)) => assert!(sentence.contains("no such field")),
        other => panic!("{other:?}"),
    }
    assert_eq!((server.requests().len(), model.broken()), (1, None));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // A port that no system gives away by itself, as it would one that was just freed.
    let base = "http://127.0.0.1:1";
    let (_, mut conversation) = started(settings(base)).await;
    let sentence = unavailable(conversation.reply().await);
    assert!(sentence.contains(base) && sentence.contains("refused"), "{sentence}");

    let choice = ModelChoice::parse("vllm:").unwrap();
    let nameless = ModelSettings { choice, max_retries: 0, ..settings(base) };
    let error = Model::connect(nameless).await.unwrap_err();
    assert!(error.to_string().contains("start the server"), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_without_end() {
    // Connections are accepted by the system and never read.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let first_token = Duration::from_millis(20);
    let limits = TimeLimits { first_token, ..TimeLimits::of(Provider::Vllm) };
    let (_, mut conversation) = started(ModelSettings { limits, ..settings(&base) }).await;
    let sentence = unavailable(conversation.reply().await);
    assert!(
        sentence.contains("3 times") && sentence.contains("--first-token-timeout"),
        "{sentence}"
    );
}

#[tokio::test]
async fn answers_that_are_none_are_tried_again() {
    let cut = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 99\r\n\r\n{".to_owned();
    for (first, second) in [
        (ok("<html>"), ok(r#"{"choices":[]}"#)),
        (cut, ok(r#"{"error":{"message":"busy","code":503}}"#)),
    ] {
        let (base, served) = serve_raw(vec![first, second, ok(GOOD)]);
        let (_, mut conversation) = started(settings(&base)).await;
        let reply = conversation.reply().await.unwrap();
        assert_eq!((reply.text.as_str(), reply.context_used), ("Hi.", None));
        let requests = served.join().unwrap();
        assert_eq!(requests[0], requests[2], "what is tried again is the same");
        let estimate = (requests[0].len() / 4) as u64;
        assert_eq!(reply.usage.input_tokens, estimate, "no usage was told");
    }
    let (base, served) = serve_raw(vec![ok("<html>Welcome</html>"); 3]);
    let (_, mut conversation) = started(settings(&base)).await;
    let sentence = unavailable(conversation.reply().await);
    assert!(sentence.contains("<html>Welcome</html>"), "{sentence}");
    served.join().unwrap();
}

#[tokio::test]
async fn malformed_calls_reach_the_caller_as_written_and_the_server_in_good_form() {
    let rule = Rule::new(None, &[])
        .turn(calls(&[("look at", json!("{\"at\":")), ("look", json!(""))]))
        .turn(text("Sorry."));
    let server = serve(rule);
    let (_, mut conversation) = started(settings(&server.base_url())).await;
    let reply = conversation.reply().await.unwrap();
    assert_eq!(
        (reply.calls[0].name.as_str(), reply.calls[0].arguments.as_str()),
        ("look at", "{\"at\":")
    );
    assert_eq!(reply.calls[1].arguments, "{}");
    let results = reply.calls.iter().map(|call| result(&call.id, "no")).collect();
    conversation.answer(results).unwrap();
    assert_eq!(conversation.reply().await.unwrap().text, "Sorry.");
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn only_a_well_formed_order_is_accepted() {
    let two = calls(&[("look", json!({})), ("look", json!({ "again": true }))]);
    let server = serve(Rule::new(None, &[]).turn(two).turn(text("Done.")));
    let model = connect(settings(&server.base_url())).await;
    let tools = vec![tool("look", r#"{"type":"object"}"#)];
    let mut conversation = model.open(String::new(), tools, Some(100)).unwrap();
    let invalid =
        |outcome: Result<(), CallError>| assert!(matches!(outcome, Err(CallError::Invalid(_))));

    assert!(matches!(conversation.reply().await, Err(CallError::Invalid(_))), "nothing was said");
    invalid(conversation.say(String::new()));
    invalid(conversation.answer(vec![result("call_1", "")]));
    conversation.say("Task: X".to_owned()).unwrap();
    let reply = conversation.reply().await.unwrap();
    let (one, two) = (result(&reply.calls[0].id, "1"), result(&reply.calls[1].id, "2"));
    invalid(conversation.say("Hurry.".to_owned()));
    assert!(matches!(conversation.reply().await, Err(CallError::Invalid(_))), "calls wait");
    invalid(conversation.answer(vec![]));
    invalid(conversation.answer(vec![one.clone()]));
    invalid(conversation.answer(vec![two.clone(), one.clone()]));
    invalid(conversation.answer(vec![one.clone(), two.clone(), two.clone()]));
    conversation.answer(vec![one.clone(), two]).unwrap();
    invalid(conversation.answer(vec![one]));
    assert_eq!(conversation.reply().await.unwrap().text, "Done.");
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn old_results_are_emptied_and_new_ones_kept() {
    let calling = |id: &str| {
        let function = json!({ "name": "look", "arguments": "{}" });
        let message = json!({ "tool_calls": [{ "id": id, "function": function }] });
        ok(&json!({ "choices": [{ "message": message }] }).to_string())
    };
    let (base, served) = serve_raw(vec![calling("a"), calling("b"), calling("c"), ok(GOOD)]);
    let (_, mut conversation) = started(settings(&base)).await;
    let long = "long ".repeat(50);
    for (id, output) in [("a", "short"), ("b", &*long), ("c", &*long)] {
        conversation.reply().await.unwrap();
        conversation.answer(vec![result(id, output)]).unwrap();
    }
    conversation.elide_results(1);
    conversation.reply().await.unwrap();
    let requests = served.join().unwrap();
    let request: Value = serde_json::from_str(&requests[3]).unwrap();
    let results: Vec<_> = request["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| {
            (message["tool_call_id"].as_str().unwrap(), message["content"].as_str().unwrap())
        })
        .collect();
    assert_eq!(results[0], ("a", "short"));
    assert_eq!(results[1].0, "b");
    assert!(results[1].1.contains("left out"), "{results:?}");
    assert_eq!(results[2], ("c", &*long));
}

#[tokio::test]
async fn tools_that_servers_would_refuse_are_refused_here() {
    let model = connect(settings("http://localhost:1")).await;
    let object = r#"{"type":"object"}"#;
    let long = " ".repeat(64 * 1024);
    for tools in [
        vec![tool("look", "[]")],
        vec![tool("look", "{")],
        vec![tool("look", "{}")],
        vec![tool("look at", object)],
        vec![tool("", object)],
        vec![tool("look", object), tool("look", object)],
    ] {
        let outcome = model.open(String::new(), tools.clone(), None);
        assert!(matches!(outcome, Err(CallError::Invalid(_))), "{tools:?}");
    }
    for tools in [vec![tool("look", &long)], vec![tool("look", object); 129]] {
        assert!(matches!(model.open(String::new(), tools, None), Err(CallError::TooLong(_))));
    }
    let mut conversation = model.open(String::new(), Vec::new(), None).unwrap();
    let half = "x".repeat(8 * 1024 * 1024);
    conversation.say(half.clone()).unwrap();
    assert!(matches!(conversation.say(half), Err(CallError::TooLong(_))));
}

#[tokio::test]
async fn openai_needs_a_key_and_another_server_of_its_wire_does_not() {
    let choice = ModelChoice::parse("gpt-5").unwrap();
    let error = Model::connect(ModelSettings::new(choice.clone())).await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed(sentence) if sentence.contains("OPENAI_API_KEY")),
        "{error}"
    );

    let (base, served) = serve_raw(vec![ok(GOOD)]);
    let api_base = Some(base);
    let temperature = Some(0.5);
    let model =
        connect(ModelSettings { api_base, temperature, ..ModelSettings::new(choice) }).await;
    let mut conversation = model.open("Be brief.".to_owned(), Vec::new(), Some(64)).unwrap();
    conversation.say("Hi".to_owned()).unwrap();
    conversation.reply().await.unwrap();
    let request: Value = serde_json::from_str(&served.join().unwrap()[0]).unwrap();
    let messages = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "Hi" },
    ]);
    let expected = json!({
        "model": "gpt-5",
        "messages": messages,
        "temperature": 0.5,
        "max_tokens": 64,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    assert_eq!(request, expected);
}

#[tokio::test]
async fn many_talk_at_once_and_none_waits_for_another() {
    let server = serve(Rule::new(None, &[]).turn(call("look", json!({})).barrier("all", 50)));
    let model = connect(settings(&server.base_url())).await;
    let talks: Vec<_> = (0..50)
        .map(|_| {
            let mut conversation = model.open(String::new(), Vec::new(), None).unwrap();
            tokio::spawn(async move {
                conversation.say("Task: X".to_owned()).unwrap();
                conversation.reply().await.unwrap().calls.len()
            })
        })
        .collect();
    for talk in talks {
        assert_eq!(talk.await.unwrap(), 1);
    }
    assert_eq!(server.violations(), Vec::<String>::new());
}
