//! What helps against a failure of a server, and how long to wait before
//! trying again. Sends nothing and knows no wire format: a complaint comes in
//! as codes and a message.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::complaint::Complaint;

/// The longest wait that the back-off itself grows to.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
/// The longest wait that a server can ask for with Retry-After.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// What helps against a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// To try again after a time.
    Retry,
    /// To wait for a place and send the request again: the server takes no
    /// more for now.
    Queue,
    /// To shorten the conversation: it is more than the context takes.
    Shorten,
    /// To ask for something else: the request is wrong in some other way.
    Change,
    /// Nothing that is known: this request is given up.
    GiveUp,
    /// Only a person: the run is given up.
    Mend(Mend),
}

/// What a person has to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// The key is missing or wrong, or may not use this.
    Key,
    /// The account has no credit left.
    Credit,
    /// There is no such model, or no such server at this address.
    Model,
    /// The server does not parse calls of tools.
    ToolParser,
}

/// One exchange that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) remedy: Remedy,
    /// What happened, as the end of a sentence about the server.
    pub(super) what: String,
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Whether the server has answered nothing that it would charge for: it was
    /// not reached, or it refused.
    pub(super) is_free: bool,
}

impl Failure {
    pub(super) fn new(remedy: Remedy, what: impl Into<String>) -> Self {
        Self { remedy, what: what.into(), retry_after: None, is_free: false }
    }
}

/// Sorts an answer by what helps. Codes come before the status, for they are
/// more exact: OpenAI says 429 both for too many requests, which passes, and
/// for an empty account, which doesn't.
pub(super) fn sort(status: u16, complaint: &Complaint) -> Remedy {
    if complaint.is_about_credit() {
        return Remedy::Mend(Mend::Credit);
    }
    if complaint.has(&["model_not_found"]) {
        return Remedy::Mend(Mend::Model);
    }
    if complaint.is_about_tool_parser() {
        return Remedy::Mend(Mend::ToolParser);
    }
    let status = if status < 300 { complaint.status().unwrap_or(status) } else { status };
    match status {
        401 | 403 => Remedy::Mend(Mend::Key),
        402 => Remedy::Mend(Mend::Credit),
        // No redirect is followed, since that would carry the conversation to
        // a server that nobody chose.
        404 | 300..=399 => Remedy::Mend(Mend::Model),
        429 | 529 => Remedy::Queue,
        408 | 409 | 425 => Remedy::Retry,
        413 => Remedy::Shorten,
        _ if complaint.is_about_context() => Remedy::Shorten,
        400..=499 => Remedy::Change,
        500.. if complaint.is_about_load() => Remedy::Queue,
        500.. => Remedy::Retry,
        _ => sort_by_code(complaint),
    }
}

/// For an error in an answer whose status says that all is well, such as one
/// in the middle of a stream.
fn sort_by_code(complaint: &Complaint) -> Remedy {
    if complaint.is_about_load() {
        Remedy::Queue
    } else if complaint.has(&["authentication_error", "invalid_api_key", "permission_error"]) {
        Remedy::Mend(Mend::Key)
    } else if complaint.has(&["not_found_error", "NotFoundError"]) {
        Remedy::Mend(Mend::Model)
    } else if complaint.has(&["request_too_large"]) {
        Remedy::Shorten
    } else if complaint.has(&["invalid_request_error", "BadRequestError"]) {
        Remedy::Change
    } else {
        Remedy::Retry
    }
}

/// How often and after which waits a failed exchange is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackOff {
    /// So many times after the first.
    pub(super) retries: u32,
    /// The longest wait before the first retry; it doubles with each.
    pub(super) first: Duration,
    /// A number from 0 to 1, anew at each call.
    pub(super) random: fn() -> f64,
}

impl BackOff {
    pub(super) fn new(retries: u32) -> Self {
        Self { retries, first: Duration::from_secs(1), random }
    }

    /// How long to wait after `tried` failures: anything up to a bound that
    /// doubles each time ("full jitter", of Amazon's architecture blog), so
    /// that hundreds of agents don't come back all at once. A server's own
    /// wish is never undercut, up to five minutes.
    pub(super) fn wait(&self, tried: u32, retry_after: Option<Duration>) -> Duration {
        let jitter = (self.random)().clamp(0.0, 1.0);
        match retry_after {
            Some(wish) => wish.min(LONGEST_RETRY_AFTER) + self.first.mul_f64(jitter),
            None => self.bound(tried).mul_f64(jitter),
        }
    }

    /// The longest wait after `tried` failures.
    pub(super) fn bound(&self, tried: u32) -> Duration {
        let doublings = tried.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(LONGEST_BACK_OFF)
    }
}

/// Good enough to spread requests, and for nothing else: each `RandomState`
/// hashes with keys of its own.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0_u8);
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_sorted_by_what_helps() {
        let too_long = "This model's maximum context length is 4096 tokens.";
        let broke = "Your credit balance is too low to access the API.";
        let parser = "\"auto\" tool choice requires --enable-auto-tool-choice to be set";
        let (key, credit) = (Remedy::Mend(Mend::Key), Remedy::Mend(Mend::Credit));
        let model = Remedy::Mend(Mend::Model);
        for (status, codes, message, remedy) in [
            (500, &[][..], "oops", Remedy::Retry),
            (503, &[], "loading the model", Remedy::Retry),
            (503, &[], "The engine is currently overloaded", Remedy::Queue),
            (529, &["overloaded_error"], "", Remedy::Queue),
            (408, &[], "", Remedy::Retry),
            (429, &["rate_limit_exceeded"], "context window", Remedy::Queue),
            (429, &["insufficient_quota"], "", credit),
            (400, &["invalid_request_error"], broke, credit),
            (402, &[], "", credit),
            (401, &[], "", key),
            (403, &["model_not_found"], "", model),
            (404, &[], "", model),
            (307, &[], "", model),
            (400, &["BadRequestError"], parser, Remedy::Mend(Mend::ToolParser)),
            (400, &["context_length_exceeded"], "", Remedy::Shorten),
            (400, &["BadRequestError"], too_long, Remedy::Shorten),
            (400, &[], "prompt is too long: 210000 tokens > 200000 maximum", Remedy::Shorten),
            (413, &[], "", Remedy::Shorten),
            (400, &["BadRequestError"], "temperature", Remedy::Change),
            (422, &[], "", Remedy::Change),
            (200, &["429"], "", Remedy::Queue),
            (200, &["overloaded_error"], "Overloaded", Remedy::Queue),
            (200, &["401"], "", key),
            (200, &["invalid_request_error"], "", Remedy::Change),
            (200, &[], "", Remedy::Retry),
        ] {
            let codes = codes.iter().map(|&code| code.to_owned()).collect();
            let complaint = Complaint { codes, message: message.to_owned() };
            assert_eq!(sort(status, &complaint), remedy, "{status} {complaint:?}");
        }
    }

    #[test]
    fn waits_grow_up_to_a_cap_and_are_spread() {
        let most = BackOff { random: || 1.0, ..BackOff::new(5) };
        let half = BackOff { random: || 0.5, ..BackOff::new(5) };
        let least = BackOff { random: || 0.0, ..BackOff::new(5) };
        assert_eq!(most.wait(1, None), Duration::from_secs(1));
        assert_eq!(most.wait(3, None), Duration::from_secs(4));
        assert_eq!(half.wait(3, None), Duration::from_secs(2));
        assert_eq!(least.wait(3, None), Duration::ZERO);
        assert_eq!(most.wait(u32::MAX, None), LONGEST_BACK_OFF);
        assert_eq!(least.wait(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(least.wait(1, Some(Duration::from_secs(3600))), LONGEST_RETRY_AFTER);
        assert_ne!(random(), random());
    }
}
