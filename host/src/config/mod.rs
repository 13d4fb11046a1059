//! What a run is asked to do. The command line fills it from flags,
//! environment and configs (`layers`); embedding programs fill it themselves.

pub mod duration;
mod environment;
pub(crate) mod file;
mod layers;
mod models;
mod project;
mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cycle::Limits;
use crate::lm::budget::Limits as SpendingLimits;
use crate::lm::prices::{Cost, Price};
use crate::lm::{ModelChoice, Secret, Timeouts};
use crate::plugin::consent::{self, Consent};
use crate::plugin::{Choice, Source, manifest};
use crate::sandbox::Access;
use crate::{Error, Result};

pub use layers::Named;
pub use models::{Chosen, ModelOptions};
pub use project::FILE_NAME as PROJECT_FILE_NAME;

/// Goals are pasted, not streamed: more than this is a mistake.
const LONGEST_GOAL: usize = 256 * 1024;
/// More workers than this in one process is a slip of the finger.
const MOST_WORKERS: u32 = 1000;

/// The options of a run. Start from `Options::new`, then set what differs.
#[derive(Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Options {
    /// What the team shall reach.
    pub goal: String,
    /// The folder that the run is about: a git repository or a folder in one.
    pub root_path: PathBuf,
    /// The branch that the work goes to; where it is missing, made from `origin`'s,
    /// or else from HEAD.
    pub branch: String,
    /// The model of all roles that have none of their own: `openai:NAME`,
    /// `anthropic:NAME`, `vllm:` or `ollama:NAME`.
    pub lm: String,
    /// The model server's address, where it is not the provider's usual one.
    pub api_base: Option<String>,
    /// The key for the model's server. Never stored.
    #[serde(skip)]
    pub api_key: Option<Secret>,
    /// What single roles have of their own, by role: `planner`,
    /// `main-planner`, `sub-planner`, `worker`, `merger`, `judge`; and `default`.
    #[serde(default)]
    pub role_models: BTreeMap<String, ModelOptions>,
    /// Keys by provider (`openai`, `anthropic`, `vllm`, `ollama`), for models
    /// that `api_key` is not for. Never stored.
    #[serde(skip)]
    pub api_keys: BTreeMap<String, Secret>,
    /// A recorded run that is played back: nobody is asked anything.
    #[serde(default)]
    pub replay: Option<PathBuf>,
    /// The program that builds the sandbox's walls: `code-agent` itself. Without
    /// it there are no commands.
    #[serde(skip)]
    pub sandbox_helper: Option<PathBuf>,
    /// What commands may use beyond the usual.
    #[serde(default)]
    pub access: Access,
    /// Whether commands run without a sandbox, which lets models do whatever the
    /// user can.
    #[serde(default)]
    pub unsandboxed_commands: bool,
    /// A command that prepares each slot, with the network: `npm ci`.
    #[serde(default)]
    pub setup: Option<String>,
    /// A command that says whether a commit is good: `cargo test`. What is red
    /// does not land.
    #[serde(default)]
    pub check: Option<String>,
    /// Whether nothing lands that was not checked as it lands.
    #[serde(default)]
    pub check_strict: bool,
    /// Whether the run moves back where the check is red at a cycle's end.
    #[serde(default)]
    pub rollback: bool,
    /// Whether what looks like a key may land.
    #[serde(default)]
    pub allow_secrets: bool,
    /// What models cost, by `NAME` or `PROVIDER:NAME`, where that is not known
    /// or not right.
    #[serde(default)]
    pub prices: BTreeMap<String, Price>,
    /// The most tokens that the run may use, input and output together.
    #[serde(default)]
    pub max_tokens: Option<u64>,
    /// The most US dollars that the run may cost.
    #[serde(default)]
    pub max_cost: Option<f64>,
    /// The most time that the run's hosts may run, all together.
    #[serde(default)]
    pub max_time: Option<Duration>,
    /// How many cycles the run may have.
    pub max_cycles: u32,
    /// How many workers work at once.
    pub max_workers: u32,
    /// Whether the branch moves. Otherwise the working tree gets the changes,
    /// uncommitted, at the end.
    pub auto_commit: bool,
    /// Whether what has landed is pushed to the remote `origin`, where there is
    /// one, after each cycle.
    #[serde(default = "yes")]
    pub push: bool,
    /// Whether the checkouts stay when the run has ended, for a look at them.
    #[serde(default)]
    pub keep_checkouts: bool,
    /// The folder with `plugins.toml`; the shipped one where none is named.
    #[serde(default)]
    pub plugins: Vec<PathBuf>,
    /// Which plugins fill a role, where the folder has several. Of judges all are
    /// asked, unless some are named here.
    #[serde(default)]
    pub role_plugins: Choice,
    /// Whether plugins get what they ask for though the user's record doesn't say
    /// so. Never stored: who goes on with a run says it again.
    #[serde(skip)]
    pub allow_plugins: bool,
    /// The task database; below the root path where none is named.
    pub database: Option<PathBuf>,
    /// Where checkouts and compiled components are kept; the user's cache
    /// folder where none is named.
    pub cache: Option<PathBuf>,
    /// How often a request to the model is repeated after a fault that may
    /// pass.
    pub max_retries: u32,
    /// How many requests the model's server gets at once at most; as many as
    /// it takes where none is named.
    #[serde(default)]
    pub max_requests: Option<u32>,
    /// How long the model's server may take, where that is not the usual.
    #[serde(default)]
    pub timeouts: Timeouts,
}

impl Options {
    /// The usual options for a goal in the repository at `root_path`.
    pub fn new(goal: impl Into<String>, root_path: impl Into<PathBuf>) -> Self {
        let Limits { max_cycles, max_workers, .. } = Limits::default();
        Self {
            goal: goal.into(),
            root_path: root_path.into(),
            branch: "main".into(),
            lm: "vllm:".into(),
            api_base: None,
            api_key: None,
            role_models: BTreeMap::new(),
            api_keys: BTreeMap::new(),
            replay: None,
            sandbox_helper: None,
            access: Access::default(),
            unsandboxed_commands: false,
            setup: None,
            check: None,
            check_strict: false,
            rollback: false,
            allow_secrets: false,
            prices: BTreeMap::new(),
            max_tokens: None,
            max_cost: None,
            max_time: None,
            max_cycles,
            max_workers,
            auto_commit: true,
            push: true,
            keep_checkouts: false,
            plugins: Vec::new(),
            role_plugins: Choice::new(),
            allow_plugins: false,
            database: None,
            cache: None,
            max_retries: 5,
            max_requests: None,
            timeouts: Timeouts::default(),
        }
    }

    /// Refuses what can't be meant.
    pub fn check(&self) -> Result<()> {
        if self.goal.trim().is_empty() {
            return Err(Error::usage(
                "the goal is empty; say with --goal what the team shall reach",
            ));
        }
        if self.goal.len() > LONGEST_GOAL {
            return Err(Error::usage(
                "the goal is longer than 256 KiB; put the details into files of the repository",
            ));
        }
        if self.max_cycles == 0 {
            return Err(Error::usage("--max-cycles 0 leaves nothing to do; give at least 1"));
        }
        if !(1..=MOST_WORKERS).contains(&self.max_workers) {
            return Err(Error::usage(format!("--max-workers has to be from 1 to {MOST_WORKERS}")));
        }
        if self.max_requests == Some(0) {
            return Err(Error::usage("--max-requests 0 asks nobody anything; give at least 1"));
        }
        if self.timeouts.has_zero() {
            return Err(Error::usage(
                "the model's server can't answer in 0 seconds; give at least 1",
            ));
        }
        if self.max_tokens == Some(0) || self.max_time.is_some_and(|time| time.is_zero()) {
            return Err(Error::usage("--max-tokens and --max-time have to be more than nothing"));
        }
        if self.max_cost.is_some_and(|dollars| Cost::from_dollars(dollars).is_none()) {
            return Err(Error::usage("--max-cost has to be US dollars, 0 or more"));
        }
        self.access.check()?;
        for (flag, command) in [("--check", &self.check), ("--setup", &self.setup)] {
            if command.as_ref().is_some_and(|command| command.trim().is_empty()) {
                return Err(Error::usage(format!("{flag} names no command; leave it out")));
            }
        }
        if self.check.is_none() && (self.check_strict || self.rollback) {
            return Err(Error::usage("--check-strict and --rollback need a --check COMMAND"));
        }
        if self.replay.is_some() {
            return Ok(());
        }
        ModelChoice::parse(&self.lm)?;
        self.check_models()
    }

    /// What the run may spend on models.
    pub fn spending_limits(&self) -> SpendingLimits {
        SpendingLimits { tokens: self.max_tokens, cost: self.max_cost.and_then(Cost::from_dollars) }
    }

    /// The keys that nothing that is written may show.
    pub fn secrets(&self) -> Vec<Secret> {
        self.api_key.iter().chain(self.api_keys.values()).cloned().collect()
    }

    /// How far the run may go.
    pub fn limits(&self) -> Limits {
        Limits { max_cycles: self.max_cycles, max_workers: self.max_workers, ..Limits::default() }
    }

    /// The plugins folders: those that were named, or the one beside the
    /// program. A repository's own `plugins/` is never picked up by itself.
    pub fn plugins_folders(&self) -> Result<Vec<PathBuf>> {
        if !self.plugins.is_empty() {
            return Ok(self.plugins.clone());
        }
        let program = std::env::current_exe().map_err(|error| {
            Error::failed(format!("can't find out where this program lies: {error}"))
        })?;
        shipped_plugins(&program).map(|folder| vec![folder]).ok_or_else(|| {
            Error::usage("no plugins lie beside this program; name a folder with --plugins (see plugins/README.md)")
        })
    }

    /// The folder for compiled components.
    pub fn plugin_cache(&self) -> Result<PathBuf> {
        Ok(self.cache_folder()?.join("compiled"))
    }

    /// Where the run's plugins come from, and what the user says of them.
    pub fn plugin_source(&self) -> Result<Source> {
        let consent = match self.allow_plugins {
            true => Consent::Given(allowed_plugins()),
            false => Consent::Recorded(allowed_plugins()),
        };
        Ok(Source {
            folders: self.plugins_folders()?,
            cache: self.plugin_cache()?,
            consent,
            choice: self.role_plugins.clone(),
        })
    }

    /// The folder for checkouts and compiled components.
    pub fn cache_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.cache {
            return Ok(folder.clone());
        }
        environment::folder("XDG_CACHE_HOME", ".cache").ok_or_else(|| {
            Error::failed("neither XDG_CACHE_HOME nor HOME is set; set one, for the checkouts")
        })
    }

    /// The options of a run that was started before, as they were kept.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::failed(format!("the run's options can't be read ({error}); start a new run"))
        })
    }

    /// The options as they are kept with the run: without secrets.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::failed(format!("the options can't be written down: {error}")))
    }
}

/// Where the user's record of allowed plugins lies; none where the environment
/// names no home.
pub fn allowed_plugins() -> Option<PathBuf> {
    environment::folder("XDG_CONFIG_HOME", ".config").map(|at| at.join(consent::RECORD_NAME))
}

/// What an option is where a run is older than it.
fn yes() -> bool {
    true
}

fn shipped_plugins(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    [folder.join("plugins"), folder.join("../share/code-agent/plugins")]
        .into_iter()
        .find(|candidate| candidate.join(manifest::FILE_NAME).is_file())
}
