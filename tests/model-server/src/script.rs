//! What the model says: rules and turns as plain data, read from TOML or built
//! in Rust. Owns no behaviour beyond naming a role by the tools offered.

use serde::Deserialize;
use serde_json::{Value, json};

/// What the model says to whom.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The context window that `/v1/models` tells, in tokens; none: not told.
    pub context_window: Option<u64>,
    /// More requests at once are refused with 429; none: any number.
    pub max_in_flight: Option<usize>,
    /// The Retry-After header of these refusals, in seconds.
    pub retry_after: Option<u64>,
    /// How long each answer takes, in milliseconds.
    pub delay_ms: Option<u64>,
    /// The first that matches a request answers it.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

impl Script {
    /// A script of these rules, in the order in which they are tried.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect(), ..Self::default() }
    }

    /// Reads a script; the error says where it is wrong.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

/// Which part the asking agent plays, recognised by the tools it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Offers `spawn_sub_planner` and no `create_task`.
    MainPlanner,
    /// Offers `create_task`.
    SubPlanner,
    /// Offers `finish_task`.
    Worker,
    /// Offers `finish_merge`.
    Merger,
    /// Offers `submit_verdict`.
    Judge,
}

impl Role {
    /// The role that offers these tools; none where they tell nothing.
    pub fn of_tools(names: &[String]) -> Option<Self> {
        let offers = |tool: &str| names.iter().any(|name| name == tool);
        if offers("submit_verdict") {
            Some(Self::Judge)
        } else if offers("create_task") {
            Some(Self::SubPlanner)
        } else if offers("finish_task") {
            Some(Self::Worker)
        } else if offers("finish_merge") {
            Some(Self::Merger)
        } else if offers("spawn_sub_planner") {
            Some(Self::MainPlanner)
        } else {
            None
        }
    }
}

/// What the model says in conversations of one kind, turn by turn.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only conversations of this role; none: of any.
    pub role: Option<Role>,
    /// All of these have to stand in the first user message.
    #[serde(default)]
    pub contains: Vec<String>,
    /// The n-th answers a request that holds n assistant messages.
    #[serde(default, rename = "turn")]
    pub turns: Vec<Turn>,
    /// Past the end, the last turn answers again and again.
    #[serde(default)]
    pub repeat_last: bool,
    /// So many requests that match are answered with `fail_status` first.
    #[serde(default)]
    pub fail_first: u32,
    /// The status of those answers.
    #[serde(default = "internal_server_error")]
    pub fail_status: u16,
    /// Their Retry-After header, in seconds.
    pub retry_after: Option<u64>,
}

fn internal_server_error() -> u16 {
    500
}

impl Rule {
    /// A rule for conversations of any role; none: the text tells them apart.
    pub fn new(role: Option<Role>, contains: &[&str]) -> Self {
        let contains = contains.iter().map(|&text| text.to_owned()).collect();
        Self { role, contains, fail_status: internal_server_error(), ..Self::default() }
    }

    /// A rule for main planners.
    pub fn main_planner(contains: &[&str]) -> Self {
        Self::new(Some(Role::MainPlanner), contains)
    }

    /// A rule for sub-planners.
    pub fn sub_planner(contains: &[&str]) -> Self {
        Self::new(Some(Role::SubPlanner), contains)
    }

    /// A rule for workers.
    pub fn worker(contains: &[&str]) -> Self {
        Self::new(Some(Role::Worker), contains)
    }

    /// A rule for mergers.
    pub fn merger(contains: &[&str]) -> Self {
        Self::new(Some(Role::Merger), contains)
    }

    /// A rule for judges.
    pub fn judge(contains: &[&str]) -> Self {
        Self::new(Some(Role::Judge), contains)
    }

    /// Adds what the model says next.
    pub fn turn(mut self, turn: Turn) -> Self {
        self.turns.push(turn);
        self
    }

    /// Lets the last turn answer again and again.
    pub fn repeat_last(mut self) -> Self {
        self.repeat_last = true;
        self
    }

    /// Lets the first `requests` fail with `status`, with a Retry-After header
    /// of so many seconds if one is given.
    pub fn fail_first(mut self, requests: u32, status: u16, retry_after: Option<u64>) -> Self {
        self.fail_first = requests;
        self.fail_status = status;
        self.retry_after = retry_after;
        self
    }
}

/// One answer of the model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What the assistant says.
    pub text: Option<String>,
    /// Which tools it calls.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// Answers with this status and `body` instead.
    pub status: Option<u16>,
    /// The body that goes with `status`.
    pub body: Option<String>,
    /// Holds the answer until enough requests wait at the same barrier.
    pub barrier: Option<Barrier>,
    /// All of these have to occur in the request's last message.
    #[serde(default)]
    pub expects: Vec<String>,
    /// What goes wrong with the answer.
    pub fault: Option<Fault>,
    /// How often it goes wrong before it goes well; none: always.
    pub fault_times: Option<u32>,
    /// Habits of real servers that the answer has.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
}

/// What goes wrong with an answer whose status is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// After so many pieces of the stream nothing comes any more, until the
    /// client goes away.
    Stall(usize),
    /// After so many pieces of the stream the connection is closed.
    Reset(usize),
    /// JSON that ends in the middle.
    HalfJson,
    /// A page instead of an answer.
    Html,
    /// An error object: that the server is overloaded.
    ErrorObject,
    /// Bytes that are no UTF-8.
    InvalidUtf8,
    /// 50 MiB.
    Endless,
}

/// A habit of real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// A stream was asked for, and the answer comes whole.
    NotStreamed,
    /// No usage is told.
    NoUsage,
    /// Calls have no ids.
    NoIds,
    /// All calls have the same id.
    SameIds,
    /// Arguments are an object and no text.
    ArgumentsAsObject,
    /// There is no choice in the answer.
    EmptyChoices,
    /// The model's thoughts come along.
    Reasoning,
}

impl Turn {
    /// Lets the assistant say something beside its calls.
    pub fn says(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Lets the answer go wrong, so many times; none: always.
    pub fn fault(mut self, fault: Fault, times: Option<u32>) -> Self {
        self.fault = Some(fault);
        self.fault_times = times;
        self
    }

    /// Gives the answer habits of real servers.
    pub fn quirks(mut self, quirks: &[Quirk]) -> Self {
        self.quirks.extend(quirks);
        self
    }

    /// Requires `texts` in the request's last message.
    pub fn expects(mut self, texts: &[&str]) -> Self {
        self.expects.extend(texts.iter().map(|&text| text.to_owned()));
        self
    }

    /// Holds the answer until `parties` requests wait at the barrier `name`.
    pub fn barrier(mut self, name: &str, parties: usize) -> Self {
        self.barrier = Some(Barrier { name: name.to_owned(), parties });
        self
    }
}

/// Where answers wait for one another.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Barrier {
    /// Turns with the same name wait at the same barrier.
    pub name: String,
    /// How many requests have to wait there before any is answered.
    pub parties: usize,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name.
    pub name: String,
    /// An object; or a string that is sent as it is, to be malformed.
    #[serde(default = "no_arguments")]
    pub arguments: Value,
}

fn no_arguments() -> Value {
    json!({})
}

/// A turn that says `text` and calls nothing.
pub fn text(text: &str) -> Turn {
    Turn::default().says(text)
}

/// A turn that calls one tool.
pub fn call(name: &str, arguments: Value) -> Turn {
    calls(&[(name, arguments)])
}

/// A turn that calls these tools.
pub fn calls(calls: &[(&str, Value)]) -> Turn {
    let calls = calls
        .iter()
        .map(|(name, arguments)| Call { name: (*name).to_owned(), arguments: arguments.clone() })
        .collect();
    Turn { calls, ..Turn::default() }
}

/// A turn that answers with `status` and `body` instead.
pub fn status(status: u16, body: &str) -> Turn {
    Turn { status: Some(status), body: Some(body.to_owned()), ..Turn::default() }
}

/// The turn with which a worker reports success.
pub fn finish_task(summary: &str) -> Turn {
    call("finish_task", json!({ "success": true, "summary": summary, "notes": [] }))
}

/// The turn with which a merger ends its work.
pub fn finish_merge(success: bool, summary: &str) -> Turn {
    call("finish_merge", json!({ "success": success, "summary": summary, "notes": [] }))
}

/// The turn with which a judge stops the run (`stop`) or wants another cycle
/// (`continue`).
pub fn submit_verdict(decision: &str, goal_met: bool, reasoning: &str) -> Turn {
    call(
        "submit_verdict",
        json!({ "decision": decision, "goal_met": goal_met, "reasoning": reasoning }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_rust_say_the_same() {
        let read = Script::from_toml(
            r#"
            [[rule]]
            role = "worker"
            contains = ["Task: Add subtract", "Attempt: 1"]
            fail_first = 2
            fail_status = 429
            retry_after = 0
            [[rule.turn]]
            text = "Reading."
            calls = [ { name = "read_file_content", arguments = { path = "src/lib.rs" } } ]
            [[rule.turn]]
            barrier = { name = "both", parties = 2 }
            expects = ["fn add"]
            calls = [ { name = "edit_file", arguments = "{\"path\":" } ]
            [[rule.turn]]
            status = 500
            body = "down"
            [[rule.turn]]
            text = "Hi."
            fault = { stall = 2 }
            fault_times = 1
            quirks = ["no-usage", "reasoning"]
            "#,
        );
        let built = Rule::worker(&["Task: Add subtract", "Attempt: 1"])
            .fail_first(2, 429, Some(0))
            .turn(call("read_file_content", json!({ "path": "src/lib.rs" })).says("Reading."))
            .turn(call("edit_file", json!("{\"path\":")).barrier("both", 2).expects(&["fn add"]))
            .turn(status(500, "down"))
            .turn(
                text("Hi.")
                    .fault(Fault::Stall(2), Some(1))
                    .quirks(&[Quirk::NoUsage, Quirk::Reasoning]),
            );
        assert_eq!(read, Ok(Script::new([built])));
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        let error = Script::from_toml("[[rule]]\nrolle = \"worker\"").unwrap_err();
        assert!(error.contains("rolle"), "{error}");
    }

    #[test]
    fn roles_are_known_by_their_tools() {
        let of = |names: &[&str]| {
            Role::of_tools(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["submit_plan", "spawn_sub_planner"]), Some(Role::MainPlanner));
        assert_eq!(of(&["spawn_sub_planner", "create_task"]), Some(Role::SubPlanner));
        assert_eq!(of(&["edit_file", "finish_task"]), Some(Role::Worker));
        assert_eq!(of(&["edit_file", "finish_merge"]), Some(Role::Merger));
        assert_eq!(of(&["run_command", "submit_verdict"]), Some(Role::Judge));
        assert_eq!(of(&["run_command"]), None);
    }
}
