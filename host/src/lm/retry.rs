//! Which failures of a server pass by themselves, which only a person can
//! mend, and how long to wait before trying again. Sends nothing and knows no
//! wire format: a complaint comes in as codes and a message.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The longest wait that the back-off itself grows to.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
/// The longest wait that a server can ask for with Retry-After.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// What a failure means for what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server's, for now: trying again may help.
    Passing,
    /// The conversation's: more than the model's context takes.
    TooLong,
    /// The request's, in some other way.
    Invalid,
    /// The key is missing or wrong, or may not use this.
    Forbidden,
    /// The account has no credit left.
    Unpaid,
    /// There is no such model, or no such server at this address.
    Missing,
}

/// One exchange that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    /// What happened, as the end of a sentence about the server.
    pub(super) what: String,
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self { fault, what: what.into(), retry_after: None }
    }
}

/// What a server says about a failure.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Complaint {
    /// Its words for machines: codes and types, among them numbers.
    pub(super) codes: Vec<String>,
    /// Its words for people, or the whole answer where that is unreadable.
    pub(super) message: String,
}

impl Complaint {
    fn has(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    /// Servers that answer 200 with an error put the real status here
    /// (OpenRouter, vLLM).
    fn status(&self) -> Option<u16> {
        self.codes
            .iter()
            .find_map(|code| code.parse().ok().filter(|code| (400..600).contains(code)))
    }

    /// The wordings of OpenAI, vLLM, llama.cpp and of gateways before others.
    fn is_about_context(&self) -> bool {
        let message = self.message.to_lowercase();
        let wordings = [
            "context length",
            "context window",
            "context size",
            "maximum context",
            "prompt is too long",
            "input is too long",
        ];
        self.has(&["context_length_exceeded", "exceed_context_size_error"])
            || wordings.iter().any(|wording| message.contains(wording))
    }
}

/// Sorts an answer by who can mend it. Codes come before the status, for they
/// are more exact: OpenAI says 429 both for too many requests, which passes,
/// and for an empty account, which doesn't.
pub(super) fn sort(status: u16, complaint: &Complaint) -> Fault {
    if complaint.has(&["insufficient_quota", "billing_hard_limit_reached"]) {
        return Fault::Unpaid;
    }
    if complaint.has(&["model_not_found"]) {
        return Fault::Missing;
    }
    let status = if status < 300 { complaint.status().unwrap_or(status) } else { status };
    match status {
        401 | 403 => Fault::Forbidden,
        402 => Fault::Unpaid,
        // No redirect is followed, since that would carry the conversation to
        // a server that nobody chose.
        404 | 300..=399 => Fault::Missing,
        408 | 409 | 425 | 429 => Fault::Passing,
        413 => Fault::TooLong,
        _ if complaint.is_about_context() => Fault::TooLong,
        400..=499 => Fault::Invalid,
        500.. => Fault::Passing,
        _ => sort_by_code(complaint),
    }
}

/// For an error in an answer whose status says that all is well.
fn sort_by_code(complaint: &Complaint) -> Fault {
    if complaint.has(&["authentication_error", "invalid_api_key", "permission_error"]) {
        Fault::Forbidden
    } else if complaint.has(&["not_found_error", "NotFoundError"]) {
        Fault::Missing
    } else if complaint.has(&["invalid_request_error", "BadRequestError"]) {
        Fault::Invalid
    } else {
        Fault::Passing
    }
}

/// How often and after which waits a failed exchange is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackOff {
    /// So many times after the first.
    pub(super) retries: u32,
    /// The wait before the first retry; each later one is twice as long.
    pub(super) first: Duration,
    /// A number from 0 to 1, anew at each call.
    pub(super) random: fn() -> f64,
}

impl BackOff {
    pub(super) fn new(retries: u32) -> Self {
        Self { retries, first: Duration::from_millis(500), random }
    }

    /// How long to wait after `tried` failures. The jitter, up to half of the
    /// wait, keeps hundreds of agents from coming back all at once; a server's
    /// own wish is never undercut.
    pub(super) fn wait(&self, tried: u32, retry_after: Option<Duration>) -> Duration {
        let jitter = (self.random)().clamp(0.0, 1.0);
        if let Some(wish) = retry_after {
            return wish.min(LONGEST_RETRY_AFTER) + self.first.mul_f64(jitter);
        }
        let doublings = tried.saturating_sub(1).min(16);
        let wait = self.first.saturating_mul(1 << doublings).min(LONGEST_BACK_OFF);
        wait.mul_f64(0.5 + jitter / 2.0)
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

    fn complaint(codes: &[&str], message: &str) -> Complaint {
        let codes = codes.iter().map(|&code| code.to_owned()).collect();
        Complaint { codes, message: message.to_owned() }
    }

    #[test]
    fn failures_are_sorted_by_who_can_mend_them() {
        let too_long = "This model's maximum context length is 4096 tokens.";
        for (status, codes, message, fault) in [
            (500, &[][..], "oops", Fault::Passing),
            (529, &["overloaded_error"], "", Fault::Passing),
            (408, &[], "", Fault::Passing),
            (429, &["rate_limit_exceeded"], "context window", Fault::Passing),
            (429, &["insufficient_quota"], "", Fault::Unpaid),
            (402, &[], "", Fault::Unpaid),
            (401, &[], "", Fault::Forbidden),
            (403, &["model_not_found"], "", Fault::Missing),
            (404, &[], "", Fault::Missing),
            (307, &[], "", Fault::Missing),
            (400, &["context_length_exceeded"], "", Fault::TooLong),
            (400, &["BadRequestError"], too_long, Fault::TooLong),
            (413, &[], "", Fault::TooLong),
            (400, &["BadRequestError"], "temperature", Fault::Invalid),
            (422, &[], "", Fault::Invalid),
            (200, &["429"], "", Fault::Passing),
            (200, &["401"], "", Fault::Forbidden),
            (200, &["invalid_request_error"], "", Fault::Invalid),
            (200, &[], "", Fault::Passing),
        ] {
            assert_eq!(sort(status, &complaint(codes, message)), fault, "{status} {codes:?}");
        }
    }

    #[test]
    fn waits_double_up_to_a_cap_and_are_spread() {
        let most = BackOff { random: || 1.0, ..BackOff::new(5) };
        let least = BackOff { random: || 0.0, ..BackOff::new(5) };
        assert_eq!(most.wait(1, None), Duration::from_millis(500));
        assert_eq!(most.wait(3, None), Duration::from_secs(2));
        assert_eq!(least.wait(3, None), Duration::from_secs(1));
        assert_eq!(most.wait(u32::MAX, None), LONGEST_BACK_OFF);
        assert_eq!(least.wait(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(least.wait(1, Some(Duration::from_secs(3600))), LONGEST_RETRY_AFTER);
        assert_ne!(random(), random());
    }
}
