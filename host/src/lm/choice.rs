//! What a user may write to choose a model, and where each provider's server
//! is by default. Reaching a server is not done here.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Longer names are refused, in bytes; the longest in use are paths of model
/// hubs below 200.
const LONGEST_NAME: usize = 256;

/// Who serves a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI, or whoever speaks its wire at another address.
    OpenAi,
    /// Anthropic, or whoever speaks its wire at another address.
    Anthropic,
    /// A vLLM server, by default on this machine.
    Vllm,
    /// An Ollama server, by default on this machine.
    Ollama,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Vllm, Self::Ollama];

    /// The word before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Vllm => "vllm",
            Self::Ollama => "ollama",
        }
    }

    /// Where its server is if nothing else is said.
    pub fn default_base(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Vllm => "http://localhost:8000/v1",
            Self::Ollama => "http://localhost:11434/v1",
        }
    }

    /// Whether its own server answers nobody without a key.
    pub(super) fn needs_key(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic)
    }

    /// The variable that holds the address, where there is one.
    pub fn base_variable(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_BASE_URL"),
            Self::Anthropic => Some("ANTHROPIC_BASE_URL"),
            Self::Vllm | Self::Ollama => None,
        }
    }

    /// The variable that holds the key, for messages to people.
    pub fn key_variable(self) -> &'static str {
        match self {
            Self::OpenAi => "OPENAI_API_KEY",
            Self::Anthropic => "ANTHROPIC_API_KEY",
            Self::Vllm => "VLLM_API_KEY",
            Self::Ollama => "OLLAMA_API_KEY",
        }
    }
}

/// A model as the user chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// Who serves it.
    pub provider: Provider,
    /// Its name; none: the first that the server lists.
    pub name: Option<String>,
}

impl ModelChoice {
    /// Reads `openai:NAME`, `anthropic:NAME`, `vllm:[NAME]`, `ollama:[NAME]` or
    /// a plain NAME, which is OpenAI's. Anything else is wrong usage.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let (provider, name) = match text.split_once(':') {
            None => (Provider::OpenAi, text),
            Some(("openai", name)) => (Provider::OpenAi, name),
            Some(("anthropic", name)) => (Provider::Anthropic, name),
            Some(("vllm", name)) => (Provider::Vllm, name),
            Some(("ollama", name)) => (Provider::Ollama, name),
            Some((other, _)) => return Err(unknown_provider(other, text)),
        };
        let name = name.trim();
        if name.len() > LONGEST_NAME || name.contains(|letter: char| letter.is_control()) {
            return Err(Error::usage(format!(
                "the model's name has to be at most {LONGEST_NAME} bytes long, without control \
                 characters"
            )));
        }
        if name.is_empty() && provider.needs_key() {
            return Err(Error::usage(format!(
                "the model has no name: write {}:NAME; only vllm: and ollama: can do without",
                provider.as_str()
            )));
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { provider, name })
    }
}

impl FromStr for ModelChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.provider.as_str(), self.name.as_deref().unwrap_or_default())
    }
}

/// A name with a colon of its own is the likely reason, so the sentence shows
/// how to write that.
fn unknown_provider(provider: &str, text: &str) -> Error {
    let shown = |text: &str| text.chars().take(80).collect::<String>();
    let (provider, text) = (shown(provider), shown(text));
    Error::usage(format!(
        "`{provider}` is no known provider of models: write openai:NAME, anthropic:NAME, \
         vllm:NAME or ollama:NAME (a name that has a colon itself too: ollama:{text})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read() {
        for (text, provider, name) in [
            ("openai:gpt-5", Provider::OpenAi, Some("gpt-5")),
            ("gpt-5", Provider::OpenAi, Some("gpt-5")),
            ("anthropic:claude-x", Provider::Anthropic, Some("claude-x")),
            ("vllm:", Provider::Vllm, None),
            ("vllm:Qwen/Qwen3-32B", Provider::Vllm, Some("Qwen/Qwen3-32B")),
            ("ollama:qwen3:8b", Provider::Ollama, Some("qwen3:8b")),
            ("ollama:", Provider::Ollama, None),
        ] {
            let choice = ModelChoice::parse(text).unwrap();
            assert_eq!((choice.provider, choice.name.as_deref()), (provider, name), "{text}");
        }
    }

    #[test]
    fn wrong_choices_say_what_to_write() {
        for (text, hint) in [
            ("", "openai:NAME"),
            ("openai:", "openai:NAME"),
            ("anthropic:", "anthropic:NAME"),
            ("qwen3:8b", "ollama:qwen3:8b"),
            ("vllm:a\nb", "control characters"),
        ] {
            match ModelChoice::parse(text) {
                Err(Error::Usage(sentence)) => assert!(sentence.contains(hint), "{sentence}"),
                other => panic!("{text:?} gave {other:?}"),
            }
        }
    }
}
