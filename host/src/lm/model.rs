//! A model that is ready to talk: which one, on which server, and what broke
//! it for good. What is said to it is the conversation's business.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::openai::{Answer, read_answer, read_first_model};
use super::retry::{BackOff, Failure, Fault};
use super::server::{Server, base_address};
use super::{Conversation, ModelChoice, Provider, Secret};
use crate::Error;
use crate::types::{CallError, ToolSpec};

/// Everything that decides how a model is asked.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Which one.
    pub choice: ModelChoice,
    /// Where its server is, with or without `/v1`; none: the provider's own.
    pub api_base: Option<String>,
    /// The key, sent to that server and nowhere else.
    pub api_key: Option<Secret>,
    /// How often a request that failed is tried again.
    pub max_retries: u32,
    /// How long one request may take, the answer included.
    pub request_timeout: Duration,
    /// How varied its answers are; none: the server's own default.
    pub temperature: Option<f32>,
    /// The size of its context in tokens; none: what the server tells, if it
    /// is asked for its models anyway.
    pub context_window: Option<u64>,
}

impl ModelSettings {
    /// The usual settings for `choice`: five retries, ten minutes a request.
    pub fn new(choice: ModelChoice) -> Self {
        Self {
            choice,
            api_base: None,
            api_key: None,
            max_retries: 5,
            request_timeout: Duration::from_secs(600),
            temperature: None,
            context_window: None,
        }
    }
}

/// A model that can be talked to. Clones are the same model.
#[derive(Clone, Debug)]
pub struct Model(Arc<Connected>);

#[derive(Debug)]
struct Connected {
    server: Server,
    name: String,
    key_variable: &'static str,
    /// OpenAI's own server has another name for the limit of output tokens.
    is_openai: bool,
    temperature: Option<f32>,
    context_window: Option<u64>,
    broken: OnceLock<Error>,
}

impl Model {
    /// Makes ready to talk to a model. The server is asked only where the name
    /// is missing: it gives the first model that it lists. Errors are wrong
    /// usage (an address that can't be read) or what a person has to mend.
    pub async fn connect(settings: ModelSettings) -> Result<Self, Error> {
        let back_off = BackOff::new(settings.max_retries);
        Self::connect_with(settings, back_off).await
    }

    pub(super) async fn connect_with(
        settings: ModelSettings,
        back_off: BackOff,
    ) -> Result<Self, Error> {
        let provider = settings.choice.provider;
        let base = base_address(settings.api_base.as_deref(), provider)?;
        let is_openai = base.as_str() == Provider::OpenAi.default_base();
        if is_openai && settings.api_key.is_none() {
            return Err(Error::failed(
                "OpenAI's models need a key: set OPENAI_API_KEY, or name another server with \
                 --api-base",
            ));
        }
        let server = Server::new(&base, settings.api_key, settings.request_timeout, back_off)?;
        let mut context_window = settings.context_window;
        let name = match settings.choice.name {
            Some(name) => name,
            None => {
                let (name, window) = first_model(&server, provider).await?;
                context_window = context_window.or(window);
                name
            }
        };
        Ok(Self(Arc::new(Connected {
            server,
            name,
            key_variable: provider.key_variable(),
            is_openai,
            temperature: settings.temperature,
            context_window: context_window.filter(|tokens| *tokens > 0),
            broken: OnceLock::new(),
        })))
    }

    /// Its name, as its server knows it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Opens a conversation that nothing was said in yet. What is invalid in
    /// the tools or too long is refused.
    pub fn open(
        &self,
        system: String,
        tools: Vec<ToolSpec>,
        max_output_tokens: Option<u32>,
    ) -> Result<Conversation, CallError> {
        Conversation::open(self.clone(), &system, &tools, max_output_tokens)
    }

    /// What only a person can mend, once an answer has shown it: the key, the
    /// account or the model's name. From then on nothing is sent any more.
    pub fn broken(&self) -> Option<Error> {
        self.0.broken.get().cloned()
    }

    pub(super) fn temperature(&self) -> Option<f32> {
        self.0.temperature
    }

    /// The size of its context in tokens, where it is known.
    pub fn context_window(&self) -> Option<u64> {
        self.0.context_window
    }

    pub(super) fn is_openai(&self) -> bool {
        self.0.is_openai
    }

    /// Sends a chat request until it is answered or can't be.
    pub(super) async fn complete(&self, request: Bytes) -> Result<Answer, CallError> {
        if let Some(error) = self.0.broken.get() {
            return Err(CallError::Unavailable(error.to_string()));
        }
        let answer = self.0.server.ask("chat/completions", Some(request), read_answer).await;
        answer.map_err(|failure| self.failed(failure))
    }

    fn failed(&self, failure: Failure) -> CallError {
        let base = self.0.server.base();
        let what = failure.what;
        let sentence = format!("{base} failed for the model `{}`: {what}", self.name());
        match failure.fault {
            Fault::Passing => CallError::Unavailable(sentence),
            Fault::TooLong => CallError::TooLong(sentence),
            Fault::Invalid => CallError::Invalid(sentence),
            Fault::Forbidden | Fault::Unpaid | Fault::Missing => {
                let advice = self.advice(failure.fault);
                let error = Error::failed(format!("{sentence}; {advice}"));
                tracing::error!("{error}");
                // Many agents may find out at once: the first says it.
                CallError::Unavailable(self.0.broken.get_or_init(|| error).to_string())
            }
        }
    }

    fn advice(&self, fault: Fault) -> String {
        let variable = self.0.key_variable;
        match fault {
            Fault::Forbidden if self.0.server.has_key() => {
                format!("set {variable} to a key that may use this model")
            }
            Fault::Forbidden => format!("the server wants a key: set {variable}"),
            Fault::Unpaid => "add credit to the account, or choose another model".to_owned(),
            _ => "choose a model that the server has with --model, and check its address with \
                  --api-base"
                .to_owned(),
        }
    }
}

/// The name of the first model that a server lists, and its context window.
async fn first_model(server: &Server, provider: Provider) -> Result<(String, Option<u64>), Error> {
    let base = server.base();
    match server.ask("models", None, read_first_model).await {
        Ok(Some(model)) => Ok((model.name, model.context_window)),
        Ok(None) => Err(Error::failed(format!(
            "{base} has no model: load one there, or name one with --model {}:NAME",
            provider.as_str()
        ))),
        Err(failure) => Err(Error::failed(format!(
            "{base} does not list its models: {}; start the server, or check --api-base and {}",
            failure.what,
            provider.key_variable()
        ))),
    }
}
