//! Which turn of the script answers which request, and the record of both.
//! Knows bodies and statuses; how they travel is the server's business.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::answer::Answer;
use crate::barrier::Barriers;
use crate::load::{Gate, Load};
use crate::script::{Fault, Role, Rule, Script, Turn};
use crate::wire::{self, Request, Wire};
use crate::{completion, messages};

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
    /// Whether it came with a key.
    pub authorized: bool,
}

/// A script while it is played.
pub(crate) struct Play {
    script: Script,
    /// For each rule, how many requests failed as its `fail_first` wants.
    failed: Vec<AtomicU32>,
    /// How often each turn's fault was played, by rule and turn.
    faults: Mutex<HashMap<(usize, usize), u32>>,
    gate: Gate,
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
            gate: Gate::new(script.max_in_flight),
            faults: Mutex::default(),
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

    pub(crate) fn load(&self) -> Load {
        self.gate.load()
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
        Answer::whole(200, json!({ "object": "list", "data": [model] }).to_string())
    }

    /// Answers a request as the script says.
    pub(crate) async fn answer(&self, wire: Wire, body: &[u8], authorized: bool) -> Answer {
        let Some(in_flight) = self.gate.enter() else {
            let answer = Answer::error(429, "too many requests in flight");
            return Answer { retry_after: self.script.retry_after, ..answer };
        };
        let read = match wire {
            Wire::OpenAi => wire::read(body),
            Wire::Anthropic => messages::read(body),
        };
        let request = match read {
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
            Ok(answer) => Answer { in_flight: Some(in_flight), ..answer },
            Err(breach) => self.violation(&format!("{breach}, {}", described(&request))),
        }
    }

    async fn play(&self, request: &Request, request_bytes: usize) -> Result<Answer, String> {
        if let Some(delay) = self.script.delay_ms {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let rules = self.script.rules.iter().zip(&self.failed).enumerate();
        let (rule_index, (rule, failed)) =
            { rules }.find(|(_, (rule, _))| matches(rule, request)).ok_or("no rule matches")?;
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
            Some(status) => Answer::whole(status, turn.body.clone().unwrap_or_default()),
            None => {
                let fault = self.fault(turn, (rule_index, request.assistant_messages));
                let answer = completion::answer(turn, request, request_bytes, fault);
                self.tokens.fetch_add(answer.tokens, Ordering::Relaxed);
                answer
            }
        })
    }

    /// What goes wrong this time.
    fn fault(&self, turn: &Turn, place: (usize, usize)) -> Option<Fault> {
        let fault = turn.fault?;
        let mut faults = lock(&self.faults);
        let played = faults.entry(place).or_default();
        *played += 1;
        turn.fault_times.is_none_or(|times| *played <= times).then_some(fault)
    }
}

fn matches(rule: &Rule, request: &Request) -> bool {
    rule.role.is_none_or(|role| request.role == Some(role))
        && rule.contains.iter().all(|text| request.first_user_message.contains(text))
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
