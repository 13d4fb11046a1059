//! A model that is ready to talk: which one, on which server, and what broke
//! it for good. What is said to it is the conversation's business.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

use super::address::base_address;
use super::answer::Answer;
use super::budget::Payer;
use super::exchange::Exchange;
use super::opening::{Openings, SharedOpening};
use super::raw_calls::has_raw_call;
use super::request::Request;
use super::retry::{BackOff, Failure, Mend, Remedy};
use super::scripted::Script;
use super::server::Server;
use super::wire::Wire;
use super::{Conversation, ModelChoice, Paces, Provider, Reply, Secret, TimeLimits};
use crate::Error;
use crate::transcript::{Replay, Talk};
use crate::types::{CallError, ToolSpec};

/// So many of a server's models are named in a message.
const MOST_NAMED_MODELS: usize = 20;
/// What stands where a model's name would in a run that is played back.
const REPLAY_NAME: &str = "replay";
/// The same where replies were written down beforehand.
const SCRIPT_NAME: &str = "script";

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
    /// How many requests the server gets at once at most; none: as many as it
    /// takes.
    pub max_requests: Option<u32>,
    /// The limits of requests in flight: models on the same server share one
    /// if they are given the same.
    pub paces: Paces,
    /// How long the server may take.
    pub limits: TimeLimits,
    /// How varied its answers are; none: the server's own default.
    pub temperature: Option<f32>,
    /// The size of its context in tokens; none: what the server tells, if it
    /// is asked for its models anyway.
    pub context_window: Option<u64>,
}

impl ModelSettings {
    /// The usual settings for `choice`: five retries, the usual limits.
    pub fn new(choice: ModelChoice) -> Self {
        Self {
            limits: TimeLimits::of(choice.provider),
            choice,
            api_base: None,
            api_key: None,
            max_retries: 5,
            max_requests: None,
            paces: Paces::default(),
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
    backend: Backend,
    name: String,
    key_variable: &'static str,
    temperature: Option<f32>,
    context_window: Option<u64>,
    openings: Openings,
    /// Whether the server has ever given a call as such.
    calls_parsed: AtomicBool,
    broken: OnceCell<Error>,
}

/// Where answers come from.
#[derive(Debug)]
enum Backend {
    Server(Box<Server>),
    /// A recorded run; nobody is asked.
    Replay(Arc<Replay>),
    /// Replies that were written down; nobody is asked.
    Script(Script),
}

impl Model {
    /// The model of a recorded run that is played back. Sends nothing.
    pub fn replayed_from(replay: Arc<Replay>) -> Self {
        Self::without_server(Backend::Replay(replay), REPLAY_NAME)
    }

    /// A model that gives these replies, in their order, whatever it is told.
    /// Sends nothing.
    pub fn scripted(replies: Vec<Reply>) -> Self {
        Self::without_server(Backend::Script(Script::new(replies)), SCRIPT_NAME)
    }

    fn without_server(backend: Backend, name: &str) -> Self {
        Self(Arc::new(Connected {
            backend,
            name: name.to_owned(),
            key_variable: "",
            temperature: None,
            context_window: None,
            openings: Openings::default(),
            calls_parsed: AtomicBool::new(false),
            broken: OnceCell::new(),
        }))
    }

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
        if provider.needs_key() && base.as_str() == provider.default_base() {
            check_key(provider, settings.api_key.as_ref())?;
        }
        let wire = Wire::of(provider, base.as_str());
        let exchange = Exchange::new(&base, wire, settings.api_key, settings.limits)?;
        let pace = settings.paces.of(exchange.base(), settings.max_requests);
        let server = Server { exchange, wire, pace, back_off };
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
            backend: Backend::Server(Box::new(server)),
            name,
            key_variable: provider.key_variable(),
            temperature: settings.temperature,
            context_window: context_window.filter(|tokens| *tokens > 0),
            openings: Openings::default(),
            calls_parsed: AtomicBool::new(false),
            broken: OnceCell::new(),
        })))
    }

    /// Its name, as its server knows it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Opens a conversation that nobody writes down.
    pub fn open(
        &self,
        system: String,
        tools: Vec<ToolSpec>,
        max_output_tokens: Option<u32>,
    ) -> Result<Conversation, CallError> {
        self.open_in(Talk::default(), &system, &tools, max_output_tokens)
    }

    /// Opens a conversation that nothing was said in yet; what is said is
    /// written down in `talk`. What is invalid in the tools or too long is
    /// refused.
    pub fn open_in(
        &self,
        talk: Talk,
        system: &str,
        tools: &[ToolSpec],
        max_output_tokens: Option<u32>,
    ) -> Result<Conversation, CallError> {
        Conversation::open(self.clone(), talk, system, tools, max_output_tokens)
    }

    /// What only a person can mend, once an answer has shown it: the key, the
    /// account, the model's name, the server's parser for calls. From then on
    /// nothing is sent any more.
    pub fn broken(&self) -> Option<Error> {
        match &self.0.backend {
            Backend::Server(_) => self.0.broken.get().cloned(),
            Backend::Replay(replay) => replay.broken(),
            Backend::Script(script) => script.broken(),
        }
    }

    /// The same opening as another conversation's, where one has it.
    pub(super) fn share(&self, opening: SharedOpening) -> Arc<SharedOpening> {
        self.0.openings.share(opening)
    }

    pub(super) fn temperature(&self) -> Option<f32> {
        self.0.temperature
    }

    /// The size of its context in tokens, where it is known.
    pub fn context_window(&self) -> Option<u64> {
        self.0.context_window
    }

    pub(super) fn wire(&self) -> Wire {
        match &self.0.backend {
            Backend::Server(server) => server.wire,
            Backend::Replay(_) | Backend::Script(_) => Wire::OpenAi { own: false },
        }
    }

    /// What was answered when it was recorded, or is to be answered; none where
    /// there is a server to ask.
    pub(super) async fn known_reply(&self, talk: &mut Talk) -> Option<Result<Reply, CallError>> {
        match &self.0.backend {
            Backend::Server(_) => None,
            Backend::Script(script) => Some(script.next()),
            Backend::Replay(_) => Some(match talk.recorded_reply().await {
                Ok(outcome) => outcome,
                Err(error) => Err(CallError::Unavailable(error.to_string())),
            }),
        }
    }

    /// Sends a request until it is answered or can't be. `tools`: the names of
    /// those that are offered in it. All requests for replies go through here.
    pub(super) async fn complete(
        &self,
        request: Request,
        tools: &[String],
        payer: &mut impl Payer,
    ) -> Result<Answer, CallError> {
        if let Some(error) = self.0.broken.get() {
            return Err(CallError::Unavailable(error.to_string()));
        }
        let Backend::Server(server) = &self.0.backend else {
            return Err(CallError::Unavailable(
                "nobody can be asked here; please report it".to_owned(),
            ));
        };
        let answer = match server.complete(&request, payer).await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.failed(server, failure).await),
        };
        if !answer.calls.is_empty() {
            self.0.calls_parsed.store(true, Ordering::Relaxed);
        } else if !self.0.calls_parsed.load(Ordering::Relaxed) && has_raw_call(&answer.text, tools)
        {
            // Once a call came as such, the server can do it, and this one is
            // the model's slip.
            let what = "it left a call of a tool in the text";
            let failure = Failure::new(Remedy::Mend(Mend::ToolParser), what);
            return Err(self.failed(server, failure).await);
        }
        Ok(answer)
    }

    async fn failed(&self, server: &Server, failure: Failure) -> CallError {
        let base = server.exchange.base();
        let what = failure.what;
        let sentence = format!("{base} failed for the model `{}`: {what}", self.name());
        match failure.remedy {
            Remedy::Retry | Remedy::Queue | Remedy::GiveUp => CallError::Unavailable(sentence),
            Remedy::Shorten => CallError::TooLong(sentence),
            Remedy::Change => CallError::Invalid(sentence),
            Remedy::Mend(mend) => {
                // Many agents may find out at once: the first says it.
                let broken = self.0.broken.get_or_init(async || {
                    // Boxed, for it is rare and larger than all the rest.
                    let advice = Box::pin(self.advice(server, mend)).await;
                    let error = Error::failed(format!("{sentence}; {advice}"));
                    tracing::error!("{error}");
                    error
                });
                CallError::Unavailable(broken.await.to_string())
            }
        }
    }

    async fn advice(&self, server: &Server, mend: Mend) -> String {
        let variable = self.0.key_variable;
        match mend {
            Mend::Key if server.exchange.has_key() => {
                format!("set {variable} to a key that may use this model")
            }
            Mend::Key => format!("the server wants a key: set {variable}"),
            Mend::Credit => "add credit to the account, or choose another model".to_owned(),
            Mend::Model => {
                let offer = offer(server).await;
                format!(
                    "{offer}choose a model that the server has with --model, and check its \
                     address with --api-base"
                )
            }
            Mend::ToolParser => "start the server with a parser for this model's calls: vLLM with \
                                 --enable-auto-tool-choice --tool-call-parser NAME (its \
                                 documentation names the parser of each model), llama.cpp with \
                                 --jinja"
                .to_owned(),
        }
    }
}

/// What the server lists, as the begin of a sentence; nothing where it lists
/// nothing.
async fn offer(server: &Server) -> String {
    let models = match server.list_models().await {
        Ok(models) => models,
        Err(failure) => {
            tracing::debug!("no models could be listed: {}", failure.what);
            return String::new();
        }
    };
    let names: Vec<_> = models.iter().map(|model| format!("`{}`", model.name)).collect();
    match names.get(..MOST_NAMED_MODELS) {
        _ if names.is_empty() => String::new(),
        Some(first) if names.len() > first.len() => {
            let more = names.len() - first.len();
            format!("it offers {} and {more} more; ", first.join(", "))
        }
        _ => format!("it offers {}; ", names.join(", ")),
    }
}

fn check_key(provider: Provider, key: Option<&Secret>) -> Result<(), Error> {
    if key.is_some() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the models of {} need a key: set {}, or name another server with --api-base",
        provider.default_base(),
        provider.key_variable()
    )))
}

/// The name of the first model that a server lists, and its context window.
async fn first_model(server: &Server, provider: Provider) -> Result<(String, Option<u64>), Error> {
    let base = server.exchange.base();
    match server.models().await.map(|models| models.into_iter().next()) {
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
