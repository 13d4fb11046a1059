//! Components called without a run around them: a repository, an agent for each
//! role and the plugin host, in this process. Shared by tests and benchmarks;
//! owns none of what they look at.

#![allow(clippy::disallowed_methods, reason = "it makes what others look at")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use code_agent::agent::{Account, Agent, ClaimLanding, RoleModel, RunLog, Scope, Slot};
use code_agent::clock::Clock;
use code_agent::lm::budget::{Ledger, Limits};
use code_agent::lm::{Model, ModelChoice, ModelSettings};
use code_agent::plugin::consent::Consent;
use code_agent::plugin::{CallFailure, Choice, Plugins, Source, Tally};
use code_agent::queue::{Claim, Database, NewRun, Plan, RunStore, Store};
use code_agent::repo::path::CheckoutPath;
use code_agent::repo::{Checkouts, Lander, Repository};
use code_agent::transcript::{CallTranscript, Journal, Recorder};
use code_agent::types::{
    Brief, CycleReport, Domain, MergeRequest, Priority, Report, Role, Task, TaskDraft,
};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub struct Workshop {
    /// Where everything lies.
    pub place: PathBuf,
    slot: Arc<Slot>,
    model: Model,
    store: RunStore,
    ledger: Arc<Ledger>,
    repository: Repository,
    desk: Option<Desk>,
}

/// Where a worker lands.
struct Desk {
    lander: Arc<Lander>,
    claim: Claim,
}

impl Workshop {
    /// A small repository at `place`, with links that lead out of it, and a
    /// model at this address; without one nobody can be asked.
    pub async fn open(place: &Path, model_address: Option<String>) -> Result<Self> {
        let project = place.join("project");
        fill(&project, &place.join("outside"))?;
        let repository = Repository::open(&project, "main", true)?;
        let base = repository.begin("workshop")?;
        let checkouts =
            Checkouts::new(repository.clone(), "workshop", &place.join("cache"), false)?;
        let slot = Slot::open(&Arc::new(checkouts), "workshop").await?;
        slot.stand_on(&base).await?;
        let name = if model_address.is_some() { "vllm:model" } else { "ollama:nobody-is-asked" };
        let settings = ModelSettings {
            api_base: model_address,
            ..ModelSettings::new(ModelChoice::parse(name)?)
        };
        let model = Model::connect(settings).await?;
        let row = NewRun {
            goal: "Try".into(),
            branch: "main".into(),
            root_path: project.display().to_string(),
            base,
            model: "none".into(),
            options: "{}".into(),
            max_cycles: 1,
            max_workers: 1,
        };
        let database = Database::open(&place.join("tasks.db"))?;
        let store = database.start_run("workshop", row, Clock::system()).await?;
        let ledger = Ledger::new(Limits::default(), Default::default());
        let place = place.to_owned();
        Ok(Self { place, slot, model, store, ledger, repository, desk: None })
    }

    /// Lets the worker land what it does, as its one task.
    pub async fn open_desk(&mut self) -> Result<()> {
        let (store, clock) = (self.store.clone(), Clock::system());
        let transcript = self.place.join("transcript.jsonl");
        let recorder = Recorder::open(transcript, clock, Vec::new(), Vec::new())?;
        let log = RunLog { store: store.clone(), journal: Journal::new(recorder, None) };
        let lander = Arc::new(Lander::start(&self.repository, store.run(), log)?);
        let cycle = store.start_cycle(1, self.slot.checkout.base()).await?;
        let planner = cycle.planners.first().ok_or("a cycle has a planner")?;
        let plan = Plan { tasks: vec![task("Land").draft], ..Plan::default() };
        store.finish_planner(1, planner, plan).await?;
        let claim = store.claim(1, "workshop").await?.ok_or("there is a task")?;
        self.desk = Some(Desk { lander, claim });
        Ok(())
    }

    fn landing(&self, transcript: &Arc<CallTranscript>) -> Option<ClaimLanding> {
        let Desk { lander, claim } = self.desk.as_ref()?;
        Some(ClaimLanding {
            lander: lander.clone(),
            claim: claim.clone(),
            cycle: 1,
            model: self.model.name().to_owned(),
            clock: Clock::system(),
            transcript: transcript.clone(),
            check: None,
            scope: Arc::new(Scope::of(&claim.task.draft)),
            allow_secrets: false,
        })
    }

    /// An agent of this role, in the one checkout that there is.
    pub fn agent(&self, plugins: &Plugins, role: Role, transcript: CallTranscript) -> Arc<Agent> {
        let transcript = Arc::new(transcript);
        let landing = if role == Role::Worker { self.landing(&transcript) } else { None };
        Arc::new(Agent {
            name: role.as_str().into(),
            role,
            slot: self.slot.clone(),
            root: CheckoutPath::top(),
            model: RoleModel { model: self.model.clone(), price: None, max_output_tokens: None },
            account: Account {
                ledger: self.ledger.clone(),
                store: self.store.clone(),
                cycle: 1,
                subject: None,
            },
            transcript,
            sandbox: None,
            tools: plugins.tools(),
            landing,
            setback: OnceLock::new(),
            usage: Mutex::default(),
            tally: Tally::default(),
        })
    }

    /// The tests' component in every role and as a tool; `sub_planner`: another one
    /// for that role. `more` are lines of each one's table.
    pub async fn plugins(
        &self,
        name: &str,
        sub_planner: Option<&Path>,
        more: &str,
    ) -> Result<Plugins> {
        let mut manifest = String::new();
        for role in Role::ALL {
            let other = sub_planner.filter(|_| role == Role::SubPlanner);
            let component = other.map_or_else(hostile_component, |path| Ok(path.to_owned()))?;
            manifest += &format!(
                "[plugins.{name}-{role}]\nrole = \"{role}\"\ncomponent = {component:?}\n{more}\n"
            );
        }
        let component = hostile_component()?;
        manifest +=
            &format!("[plugins.{name}-tool]\ntool = true\ncomponent = {component:?}\n{more}\n");
        load(&self.folder(name, &manifest)?, &self.cache()).await
    }

    /// Where compiled components are kept.
    pub fn cache(&self) -> PathBuf {
        self.place.join("compiled")
    }

    /// A folder of plugins with this `plugins.toml`.
    pub fn folder(&self, name: &str, manifest: &str) -> Result<PathBuf> {
        let folder = self.place.join("plugins").join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("plugins.toml"), manifest)?;
        Ok(folder)
    }

    /// Has a component act as `what` says, in this role; returns what it said.
    pub async fn ask(
        &self,
        plugins: &Plugins,
        role: Role,
        what: &str,
    ) -> std::result::Result<String, CallFailure> {
        let agent = self.agent(plugins, role, CallTranscript::default());
        match role {
            Role::MainPlanner => Ok(plugins.plan(agent, brief(what)).await?.overview),
            Role::SubPlanner => {
                let domain = Domain {
                    name: what.into(),
                    description: String::new(),
                    file_patterns: Vec::new(),
                };
                Ok(plugins.plan_domain(agent, brief("Try"), "", domain, 1).await?.summary)
            }
            Role::Worker => Ok(plugins.work(agent, brief("Try"), task(what)).await?.summary),
            Role::Judge => {
                let judge = plugins.judges().concat();
                Ok(plugins.review(&judge, agent, brief(what), empty_report()).await?.reasoning)
            }
            Role::Merger => Ok(plugins.merge(agent, brief(what), empty_merge()).await?.summary),
        }
    }
}

/// Loads what lies in a folder whose plugins ask for nothing in particular.
pub async fn load(folder: &Path, cache: &Path) -> Result<Plugins> {
    Ok(Plugins::load(&source(folder, cache)).await?)
}

pub fn source(folder: &Path, cache: &Path) -> Source {
    let (folders, cache) = (vec![folder.to_owned()], cache.to_owned());
    Source { folders, cache, consent: Consent::Recorded(None), choice: Choice::new() }
}

pub fn brief(goal: &str) -> Brief {
    Brief {
        goal: goal.into(),
        cycle: 1,
        max_cycles: 1,
        instructions: None,
        guidance: Vec::new(),
        root_path: String::new(),
    }
}

fn empty_merge() -> MergeRequest {
    MergeRequest {
        task: task("Try"),
        report: Report { success: true, summary: String::new(), notes: Vec::new() },
        base: String::new(),
        tip: String::new(),
        commits: Vec::new(),
        collisions: Vec::new(),
        worker_diff: String::new(),
        branch_diff: String::new(),
    }
}

fn empty_report() -> CycleReport {
    CycleReport {
        overview: String::new(),
        outcomes: Vec::new(),
        planner_failures: Vec::new(),
        check: None,
        rolled_back: Vec::new(),
        base: String::new(),
        head: String::new(),
    }
}

pub fn task(title: &str) -> Task {
    let draft = TaskDraft {
        title: title.into(),
        description: "Try it.".into(),
        priority: Priority::Medium,
        file_paths: Vec::new(),
    };
    Task { id: "task".into(), draft, attempt: 1, last_error: None }
}

/// The component that misbehaves.
pub fn hostile_component() -> Result<PathBuf> {
    test_component("hostile")
}

/// A component of the tests, by its name.
pub fn test_component(name: &str) -> Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let path = tests.join(name).join(name).with_extension("wasm");
    path.canonicalize().map_err(|_| "build the components first: cargo xtask plugins".into())
}

/// Two files, and links to `outside` and to the folder above.
fn fill(project: &Path, outside: &Path) -> Result<()> {
    fs::create_dir_all(project.join("src/deep"))?;
    fs::create_dir_all(outside)?;
    fs::write(outside.join("passwd"), "root\n")?;
    fs::write(project.join("a.txt"), "a\n")?;
    fs::write(project.join("src/deep/file.rs"), "fn main() {\n    println!(\"hello\");\n}\n")?;
    symlink(outside, project.join("out"))?;
    symlink("..", project.join("up"))?;
    let steps: [&[&str]; 3] = [
        &["init", "--quiet", "--initial-branch=main"],
        &["add", "--all"],
        &["commit", "--quiet", "--message=Begin"],
    ];
    for arguments in steps {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]);
        git.args(arguments).current_dir(project).env("GIT_CONFIG_GLOBAL", "/dev/null");
        if !git.status()?.success() {
            return Err(format!("git {arguments:?} failed").into());
        }
    }
    Ok(())
}
