//! Where a server is: its address as a user may write it, read once. Reaches
//! nobody.

use reqwest::Url;

use super::Provider;
use crate::Error;

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

/// A proxy can't reach what is meant by this machine's own names.
pub(super) fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
