//! Which turn of the script answers which request, and the record of both.
//! Knows bodies and statuses; how they travel is the server's business.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::barrier::Barriers;
use crate::script::{Role, Rule, Script, Turn};
use crate::wire::{self, Request};

/// More requests or violations are answered, but no longer recorded.
const MOST_RECORDS: usize = 10_000;
/// So much of a first user message is recorded, in characters.
const LONGEST_RECORD: usize = 8_192;

/// One request, as a test looks at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The model that it named.
    pub model: String,
    /// The asking agent's role, where its tools tell it.
    pub role: Option<Role>,
    /// The first message of the user, cut after 8,192 characters.
    pub first_user_message: String,
    /// How many messages the request held.
    pub messages: usize,
    /// Whether it came with an `Authorization` header.
    pub authorized: bool,
}

/// What goes back to the client.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = json!({ "error": { "message": message } }).to_string();
        Self { status, body, retry_after: None }
    }
}

/// A script while it is played.
pub(crate) struct Play {
    script: Script,
    /// For each rule, how many requests failed as its `fail_first` wants.
    failed: Vec<AtomicU32>,
    barriers: Barriers,
    longest_wait: Duration,
    on_violation: fn(&str),
    recorded: Mutex<Vec<Recorded>>,
    violations: Mutex<Vec<String>>,
    /// The tokens of all answers, as they told them.
    tokens: AtomicU64,
}

impl Play {
    pub(crate) fn new(script: Script, longest_wait: Duration, on_violation: fn(&str)) -> Self {
        Self {
            failed: script.rules.iter().map(|_| AtomicU32::new(0)).collect(),
            script,
            barriers: Barriers::default(),
            longest_wait,
            on_violation,
            recorded: Mutex::default(),
            violations: Mutex::default(),
            tokens: AtomicU64::new(0),
        }
    }

    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        lock(&self.recorded).clone()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Waits at a barrier, but not for ever.
    pub(crate) async fn meet(&self, barrier: &str, parties: usize) -> Result<(), String> {
        self.barriers.meet(barrier, parties, self.longest_wait).await
    }

    /// Records a violation and makes the answer that tells it to the client.
    pub(crate) fn violation(&self, breach: &str) -> Answer {
        (self.on_violation)(breach);
        push_bounded(&self.violations, breach.to_owned());
        Answer::error(400, &format!("violation: {breach}"))
    }

    /// The list that `/v1/models` gives.
    pub(crate) fn models(&self) -> Answer {
        let mut model = json!({ "id": "scripted", "object": "model" });
        if let Some(tokens) = self.script.context_window {
            model["max_model_len"] = json!(tokens);
        }
        let body = json!({ "object": "list", "data": [model] }).to_string();
        Answer { status: 200, body, retry_after: None }
    }

    /// Answers a chat-completions request as the script says.
    pub(crate) async fn answer(&self, body: &[u8], authorized: bool) -> Answer {
        let request = match wire::read(body) {
            Ok(request) => request,
            Err(breach) => return self.violation(&breach),
        };
        push_bounded(
            &self.recorded,
            Recorded {
                model: request.model.clone(),
                role: request.role,
                first_user_message: request
                    .first_user_message
                    .chars()
                    .take(LONGEST_RECORD)
                    .collect(),
                messages: request.messages,
                authorized,
            },
        );
        match self.play(&request, body.len()).await {
            Ok(answer) => answer,
            Err(breach) => self.violation(&format!("{breach}, {}", described(&request))),
        }
    }

    async fn play(&self, request: &Request, request_bytes: usize) -> Result<Answer, String> {
        let (rule, failed) = self
            .script
            .rules
            .iter()
            .zip(&self.failed)
            .find(|(rule, _)| matches(rule, request))
            .ok_or("no rule matches")?;
        let still_fails = |count: u32| (count < rule.fail_first).then(|| count + 1);
        if failed.try_update(Ordering::Relaxed, Ordering::Relaxed, still_fails).is_ok() {
            let answer = Answer::error(rule.fail_status, "a failure that the script wants");
            return Ok(Answer { retry_after: rule.retry_after, ..answer });
        }
        let turn = rule
            .turns
            .get(request.assistant_messages)
            .or_else(|| rule.turns.last().filter(|_| rule.repeat_last))
            .ok_or_else(|| format!("the rule has no turn {}", request.assistant_messages))?;
        if let Some(missing) =
            turn.expects.iter().find(|text| !request.last_message.contains(*text))
        {
            let said = cut(&request.last_message);
            return Err(format!("the last message lacks {missing:?}; it says {said:?}"));
        }
        if let Some(barrier) = &turn.barrier {
            self.meet(&barrier.name, barrier.parties).await?;
        }
        Ok(match turn.status {
            Some(status) => {
                Answer { status, body: turn.body.clone().unwrap_or_default(), retry_after: None }
            }
            None => self.completion(turn, request, request_bytes),
        })
    }

    fn completion(&self, turn: &Turn, request: &Request, request_bytes: usize) -> Answer {
        let mut message = json!({ "role": "assistant", "content": turn.text });
        if !turn.calls.is_empty() {
            message["tool_calls"] = tool_calls(turn, request.assistant_messages);
        }
        let finish_reason = if turn.calls.is_empty() { "stop" } else { "tool_calls" };
        // About four bytes a token is the usual rule of thumb for English text.
        let prompt_tokens = request_bytes / 4;
        let completion_tokens = message.to_string().len() / 4;
        let told = u64::try_from(prompt_tokens + completion_tokens).unwrap_or(u64::MAX);
        self.tokens.fetch_add(told, Ordering::Relaxed);
        let body = json!({
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 0,
            "model": request.model,
            "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
        });
        Answer { status: 200, body: body.to_string(), retry_after: None }
    }
}

fn matches(rule: &Rule, request: &Request) -> bool {
    rule.role.is_none_or(|role| request.role == Some(role))
        && rule.contains.iter().all(|text| request.first_user_message.contains(text))
}

fn tool_calls(turn: &Turn, turn_index: usize) -> Value {
    let calls = turn.calls.iter().enumerate().map(|(index, call)| {
        let arguments = match &call.arguments {
            Value::String(text) => text.clone(),
            object => object.to_string(),
        };
        let function = json!({ "name": call.name, "arguments": arguments });
        json!({ "id": format!("call_{turn_index}_{index}"), "type": "function", "function": function })
    });
    calls.collect()
}

fn described(request: &Request) -> String {
    let role = request.role.map_or("no known role".to_owned(), |role| format!("{role:?}"));
    format!("asked by {role} whose first message is {:?}", cut(&request.first_user_message))
}

fn cut(text: &str) -> String {
    text.chars().take(500).collect()
}

fn push_bounded<T>(records: &Mutex<Vec<T>>, record: T) {
    let mut records = lock(records);
    if records.len() < MOST_RECORDS {
        records.push(record);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
