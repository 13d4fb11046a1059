//! The exchange with a server: its address and key, bounds on time and size,
//! and trying again. What is asked and what an answer means is not known here.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url};

use super::openai::{excerpt, read_complaint};
use super::retry::{BackOff, Failure, Fault, sort};
use super::{Provider, Secret};
use crate::Error;

/// Longer answers are a fault of the server, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
/// A server that can't be connected to within this is taken as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A model server that can be asked.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    /// Without a slash at its end.
    base: String,
    key: Option<Secret>,
    authorization: Option<HeaderValue>,
    back_off: BackOff,
}

impl Server {
    /// Makes ready to ask the server at `base`; sends nothing.
    pub(super) fn new(
        base: &Url,
        key: Option<Secret>,
        request_timeout: Duration,
        back_off: BackOff,
    ) -> Result<Self, Error> {
        let authorization = key.as_ref().map(authorization).transpose()?;
        let client = client(base, request_timeout)?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base, key, authorization, back_off })
    }

    /// The address, for messages to people.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether a key is sent along.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Asks for `path`, posting `body` if there is one, until `read` can read
    /// the answer or trying again is of no use. The failure says how often it
    /// was tried.
    pub(super) async fn ask<T>(
        &self,
        path: &str,
        body: Option<Bytes>,
        read: fn(&[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut tried = 0_u32;
        loop {
            let answer = self.exchange(path, body.clone()).await;
            let failure = match answer.and_then(|answer| read(&answer)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tried += 1;
            if failure.fault != Fault::Passing {
                return Err(failure);
            }
            if tried > self.back_off.retries {
                let often = if tried == 1 { "once" } else { &format!("{tried} times") };
                let what = format!("it was asked {often}; the last time {}", failure.what);
                return Err(Failure { what, ..failure });
            }
            let wait = self.back_off.wait(tried, failure.retry_after);
            tracing::warn!(
                server = self.base,
                tried,
                wait_ms = wait.as_millis(),
                "{}; trying again",
                failure.what
            );
            tokio::time::sleep(wait).await;
        }
    }

    async fn exchange(&self, path: &str, body: Option<Bytes>) -> Result<Vec<u8>, Failure> {
        let url = format!("{}/{path}", self.base);
        let mut request = match body {
            Some(body) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(body),
            None => self.client.get(url),
        };
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(no_answer)?;
        let answer = self.without_key(read_bounded(&mut response).await?);
        let status = response.status();
        if status.is_success() {
            return Ok(answer);
        }
        let complaint = read_complaint(&answer);
        Err(Failure {
            fault: sort(status.as_u16(), &complaint),
            what: format!("it answered {}: {}", status.as_u16(), excerpt(&complaint.message)),
            retry_after: retry_after(response.headers()),
        })
    }

    /// Servers repeat a wrong key in their complaint, so it is blanked before
    /// anything reads the answer.
    fn without_key(&self, answer: Vec<u8>) -> Vec<u8> {
        match (&self.key, std::str::from_utf8(&answer)) {
            (Some(key), Ok(text)) if text.contains(key.expose()) => key.redact(text).into_bytes(),
            _ => answer,
        }
    }
}

/// The address as `v1`'s parent or `v1` itself, or the provider's own. A path
/// that names some version is left as it is, since gateways have paths of
/// their own (`/v1beta/openai`, `/api/paas/v4`).
pub(super) fn base_address(text: Option<&str>, provider: Provider) -> Result<Url, Error> {
    let text = text.map_or("", str::trim);
    let text = if text.is_empty() { provider.default_base() } else { text };
    let wrong = |why: &str| {
        Error::usage(format!(
            "the model server's address {why}: write it like {}",
            provider.default_base()
        ))
    };
    let mut url = Url::parse(text).map_err(|error| wrong(&format!("can't be read ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("has to begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a password, which would end up in messages"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a `?` or a `#`"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let is_version = |name: &str| {
        name.strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    let versioned = path.split('/').any(is_version);
    url.set_path(&if versioned { path } else { format!("{path}/v1") });
    Ok(url)
}

fn client(base: &Url, request_timeout: Duration) -> Result<Client, Error> {
    // The only error is that a provider is installed already, which does too.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("code-agent/", env!("CARGO_PKG_VERSION")))
        .timeout(request_timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(request_timeout))
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

/// A proxy can't reach what is meant by this machine's own names.
fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn authorization(key: &Secret) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| {
        Error::failed("the model server's key holds characters that no key has: set it anew")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read_bounded(response: &mut reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if answer.len() + chunk.len() > LONGEST_ANSWER {
            let what = "its answer was longer than 16 MiB";
            return Err(Failure::new(Fault::Passing, what));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// No connection, no answer in time, or one that broke off.
fn no_answer(error: reqwest::Error) -> Failure {
    let kind = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it could not be connected to"
    } else {
        "the connection failed"
    };
    Failure::new(Fault::Passing, format!("{kind} ({})", excerpt(&causes(&error.without_url()))))
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

/// Seconds only, as model servers write it; a date is taken as no wish.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_work_with_and_without_version() {
        for (text, url) in [
            ("http://localhost:8000", "http://localhost:8000/v1"),
            ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
            ("https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
            ("https://example.com/v1beta/openai/", "https://example.com/v1beta/openai"),
            ("", "http://localhost:11434/v1"),
        ] {
            assert_eq!(base_address(Some(text), Provider::Ollama).unwrap().as_str(), url);
        }
    }

    #[test]
    fn addresses_that_can_not_work_are_wrong_usage() {
        for text in ["localhost:8000", "file:///etc", "http://a:b@host", "http://host?x", "::"] {
            let error = base_address(Some(text), Provider::Vllm).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{text}: {error}");
            assert!(error.to_string().contains("http://localhost:8000/v1"), "{error}");
        }
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for (url, loopback) in [
            ("http://localhost:8000", true),
            ("http://127.0.0.2", true),
            ("http://[::1]:8000", true),
            ("http://example.com", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
        }
    }
}
