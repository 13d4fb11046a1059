//! One exchange with a server over HTTP: its address and key, bounds on time
//! and size, streams and whole answers. Never tries again, and knows of an
//! answer only what the wire makes of it.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Body, Client, RequestBuilder, Response, Url};

use super::Secret;
use super::address::is_loopback;
use super::answer::Answer;
use super::complaint::{excerpt, read_complaint};
use super::limits::{TimeLimits, Timer};
use super::request::Request;
use super::retry::{Failure, Remedy, sort};
use super::server_events::EventReader;
use super::wire::{Assembly, Wire};
use crate::Error;

/// Longer answers are refused, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
/// How long the end of a stream is waited for that is complete already: read
/// to its end, the connection can be used again.
const LAST_BYTES: Duration = Duration::from_millis(100);

/// What it takes to exchange something with one server.
#[derive(Debug)]
pub(super) struct Exchange {
    client: Client,
    /// Without a slash at its end.
    base: String,
    key: Option<Secret>,
    headers: HeaderMap,
    pub(super) limits: TimeLimits,
}

impl Exchange {
    /// Makes ready to ask the server at `base`; sends nothing.
    pub(super) fn new(
        base: &Url,
        wire: Wire,
        key: Option<Secret>,
        limits: TimeLimits,
    ) -> Result<Self, Error> {
        let headers = headers(wire, key.as_ref())?;
        let client = client(base, limits.connect)?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base, key, headers, limits })
    }

    /// The address, for messages to people.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether a key is sent along.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Posts a request for a reply and reads the answer, streamed or whole.
    pub(super) async fn complete(&self, wire: Wire, request: Request) -> Result<Answer, Failure> {
        let mut timer = Timer::start(self.limits);
        let post = self.client.post(format!("{}/{}", self.base, wire.path()));
        let post = post.header(CONTENT_TYPE, "application/json").body(self.body(request));
        let response = self.send(post, &mut timer).await?;
        if is_stream(&response) {
            return self.read_stream(response, wire.assembly(), &mut timer).await;
        }
        let body = self.read_whole(response, &mut timer).await?;
        match std::str::from_utf8(&body) {
            // A stream whose header says something else.
            Ok(text) if text.trim_start().starts_with("data:") => {
                let mut assembly = wire.assembly();
                let mut reader = EventReader::default();
                for event in reader.read(&body)?.into_iter().chain(reader.end()?) {
                    assembly.take(&event)?;
                }
                assembly.finish()
            }
            _ => wire.read_answer(&body),
        }
    }

    /// Over TLS many agents may share a connection, and reqwest sends again by
    /// itself what a server that closed it has not looked at. For that it keeps a
    /// body, which has to be in one piece.
    fn body(&self, request: Request) -> Body {
        if self.base.starts_with("https:") { request.whole().into() } else { Body::wrap(request) }
    }

    /// Gets the whole body of what is at `path`.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut timer = Timer::start(self.limits);
        let response =
            self.send(self.client.get(format!("{}/{path}", self.base)), &mut timer).await?;
        self.read_whole(response, &mut timer).await
    }

    /// Sends a request and makes a failure of a status that is not good.
    async fn send(&self, request: RequestBuilder, timer: &mut Timer) -> Result<Response, Failure> {
        let request = request.headers(self.headers.clone());
        let response =
            timer.within(request.send()).await?.map_err(|error| self.no_answer(error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers());
        let complaint = read_complaint(&self.read_whole(response, timer).await?);
        Err(Failure {
            remedy: sort(status, &complaint),
            what: format!("it answered {status}: {}", excerpt(&complaint.message)),
            retry_after,
            is_free: true,
        })
    }

    async fn read_whole(
        &self,
        mut response: Response,
        timer: &mut Timer,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk(&mut response, timer).await? {
            timer.begin();
            check_length(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        Ok(match std::str::from_utf8(&body) {
            Ok(text) => self.without_key(text).map_or(body, String::into_bytes),
            Err(_) => body,
        })
    }

    async fn read_stream(
        &self,
        mut response: Response,
        mut assembly: Assembly,
        timer: &mut Timer,
    ) -> Result<Answer, Failure> {
        let mut reader = EventReader::default();
        let mut length = 0;
        while let Some(chunk) = self.next_chunk(&mut response, timer).await? {
            length += chunk.len();
            check_length(length)?;
            for event in reader.read(&chunk)? {
                self.take(&mut assembly, event)?;
            }
            if assembly.is_complete() {
                drop(tokio::time::timeout(LAST_BYTES, response.chunk()).await);
                return assembly.finish();
            }
            if assembly.has_begun() {
                timer.begin();
            }
        }
        if let Some(event) = reader.end()? {
            self.take(&mut assembly, event)?;
        }
        assembly.finish()
    }

    fn take(&self, assembly: &mut Assembly, event: String) -> Result<(), Failure> {
        assembly.take(&self.without_key(&event).unwrap_or(event))
    }

    async fn next_chunk(
        &self,
        response: &mut Response,
        timer: &Timer,
    ) -> Result<Option<Bytes>, Failure> {
        timer.within(response.chunk()).await?.map_err(|error| self.no_answer(error))
    }

    /// Servers repeat a wrong key in their complaint, so it is blanked before
    /// anything reads the answer.
    fn without_key(&self, text: &str) -> Option<String> {
        let key = self.key.as_ref().filter(|key| text.contains(key.expose()))?;
        Some(key.redact(text))
    }

    /// No connection, or one that broke off.
    fn no_answer(&self, error: reqwest::Error) -> Failure {
        let kind = if error.is_connect() && error.is_timeout() {
            format!(
                "it could not be connected to within {:?} (--connect-timeout)",
                self.limits.connect
            )
        } else if error.is_connect() {
            "it could not be connected to".to_owned()
        } else {
            "the connection failed".to_owned()
        };
        let is_free = error.is_connect();
        let causes = excerpt(&causes(&error.without_url()));
        let failure = Failure::new(Remedy::Retry, format!("{kind} ({causes})"));
        Failure { is_free, ..failure }
    }
}

fn check_length(length: usize) -> Result<(), Failure> {
    if length > LONGEST_ANSWER {
        // To ask for the same again would bring the same again.
        return Err(Failure::new(Remedy::GiveUp, "its answer was longer than 16 MiB"));
    }
    Ok(())
}

fn is_stream(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

fn client(base: &Url, connect: Duration) -> Result<Client, Error> {
    // The only error is that a provider is installed already, which does too.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("code-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        // A redirect would carry the conversation to a server that nobody chose.
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(base) {
        client = client.no_proxy();
    }
    if base.scheme() == "http" {
        // Without this, a machine without root certificates (a small
        // container) could not even ask a server on itself.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(|error| {
        Error::failed(format!(
            "the connection to {base} can't be set up: {}; are the system's root certificates \
             installed (ca-certificates)?",
            causes(&error)
        ))
    })
}

/// What goes with every request: the key, and the version of the wire where it
/// has one.
fn headers(wire: Wire, key: Option<&Secret>) -> Result<HeaderMap, Error> {
    let (name, scheme) = match wire {
        Wire::OpenAi { .. } => (AUTHORIZATION, "Bearer "),
        Wire::Anthropic => (HeaderName::from_static("x-api-key"), ""),
    };
    let mut headers = HeaderMap::new();
    if wire == Wire::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    if let Some(key) = key {
        let mut value =
            HeaderValue::from_str(&format!("{scheme}{}", key.expose())).map_err(|_| {
                Error::failed(
                    "the model server's key holds characters that no key has: set it anew",
                )
            })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The error and what caused it: reqwest's own text rarely says more than that
/// sending failed.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// How long the server wants to be left alone: OpenAI's `retry-after-ms`, or
/// Retry-After as seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str, unit: f64| {
        let number: f64 = text.parse().ok()?;
        Duration::try_from_secs_f64(number * unit).ok()
    };
    let milliseconds = text(HeaderName::from_static("retry-after-ms"));
    let wish = milliseconds.and_then(|text| number(text, 0.001));
    let seconds_or_date = text(RETRY_AFTER);
    wish.or_else(|| number(seconds_or_date?, 1.0)).or_else(|| until(seconds_or_date?))
}

/// The time until a date as HTTP writes it (RFC 9110, section 5.6.7); none
/// left where it is over.
fn until(date: &str) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let left = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_in_all_forms() {
        let read = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            retry_after(&HeaderMap::from_iter([(HeaderName::from_static(name), value)]))
        };
        assert_eq!(read("retry-after", " 2"), Some(Duration::from_secs(2)));
        assert_eq!(read("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(read("retry-after-ms", "20"), Some(Duration::from_millis(20)));
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(read("retry-after", "-1"), None);
        assert_eq!(read("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(100);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
        let left = read("retry-after", &date.unwrap()).unwrap();
        assert!((90..=100).contains(&left.as_secs()), "{left:?}");
    }
}
