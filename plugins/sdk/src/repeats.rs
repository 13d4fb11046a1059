//! Notices an agent that makes the same call over and over. Owns the count and
//! the two limits; what follows from a limit is the loop's business.

use serde_json::Value;

use crate::tools::ToolCall;

/// From this many same calls in a row on, each result carries a warning.
pub const WARN_AT: u32 = 3;
/// With this many same calls in a row, the attempt is over.
pub const STOP_AT: u32 = 6;

/// Characters of a refusal that an error quotes.
const LONGEST_QUOTE: usize = 500;

/// The call that was made last, how often in a row, and why it was refused.
#[derive(Debug, Default)]
pub struct Repeats {
    last: Option<(String, Arguments)>,
    count: u32,
    refusal: Option<String>,
}

/// Arguments to compare: by value where they are JSON, so that neither spaces
/// nor the order of the keys hide a repetition.
#[derive(Debug, PartialEq)]
enum Arguments {
    Json(Value),
    Text(String),
}

impl Repeats {
    /// Notes one call and says how often in a row it was made, this time
    /// included.
    pub fn note(&mut self, call: &ToolCall) -> u32 {
        let arguments = match serde_json::from_str(&call.arguments) {
            Ok(value) => Arguments::Json(value),
            Err(_) => Arguments::Text(call.arguments.clone()),
        };
        let this = Some((call.name.clone(), arguments));
        self.count = if self.last == this { self.count.saturating_add(1) } else { 1 };
        self.last = this;
        self.count
    }

    /// Notes what became of the last call.
    pub fn answered(&mut self, output: &Result<String, String>) {
        let quote = |refusal: &String| refusal.chars().take(LONGEST_QUOTE).collect();
        self.refusal = output.as_ref().err().map(quote);
    }

    /// What is said where the attempt is over for a call that was made so often.
    pub fn stuck(&self, name: &str, count: u32) -> String {
        let sentence = format!(
            "the model was stuck: it called `{name}` {count} times in a row with the same arguments"
        );
        match &self.refusal {
            Some(refusal) => format!("{sentence}, and was refused: {refusal}"),
            None => sentence,
        }
    }
}

/// What the model is told when it has made one call `count` times in a row.
pub fn warning(count: u32) -> Option<String> {
    (count >= WARN_AT).then(|| {
        format!(
            "Warning: this is the same call with the same arguments, {count} times in a \
             row, and its result will not change. Do something else. After {STOP_AT} of them the \
             attempt ends without a result."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: &str) -> ToolCall {
        ToolCall { id: "1".into(), name: name.into(), arguments: arguments.into() }
    }

    #[test]
    fn the_same_call_counts_up_however_it_is_written() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.note(&call("read", r#"{"a":1,"b":2}"#)), 1);
        assert_eq!(repeats.note(&call("read", r#"{ "b": 2, "a": 1 }"#)), 2);
        assert_eq!(repeats.note(&call("read", r#"{"a":1,"b":3}"#)), 1);
        assert_eq!(repeats.note(&call("write", r#"{"a":1,"b":3}"#)), 1);
        assert_eq!(repeats.note(&call("write", "{broken")), 1);
        assert_eq!(repeats.note(&call("write", "{broken")), 2);
    }

    #[test]
    fn who_is_stuck_is_told_why_the_call_was_refused() {
        let mut repeats = Repeats::default();
        repeats.answered(&Err("that looks like a key".into()));
        assert!(repeats.stuck("finish", 6).ends_with("and was refused: that looks like a key"));
        repeats.answered(&Ok("done".into()));
        assert!(
            repeats.stuck("read", 6).ends_with("`read` 6 times in a row with the same arguments")
        );
    }

    #[test]
    fn the_warning_starts_with_the_third() {
        assert_eq!(warning(2), None);
        assert!(warning(3).is_some_and(|text| text.contains("3 times")));
    }
}
