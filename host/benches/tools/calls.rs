//! A tool call through a component and the catalogue, beside the function that
//! it comes to.

#![expect(clippy::disallowed_methods, reason = "a benchmark makes what it measures")]

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use code_agent::agent::{Account, Agent, RoleModel, Slot};
use code_agent::clock::Clock;
use code_agent::lm::budget::{Ledger, Limits};
use code_agent::lm::{Model, ModelChoice, ModelSettings};
use code_agent::plugin::consent::Consent;
use code_agent::plugin::{Choice, Plugins, Source};
use code_agent::queue::{Database, NewRun};
use code_agent::repo::path::CheckoutPath;
use code_agent::repo::{Checkouts, Repository};
use code_agent::tools::call_file_tool;
use code_agent::tools::place::WriteArea;
use code_agent::transcript::CallTranscript;
use code_agent::types::{Brief, Domain, Role};

use crate::{ROUNDS, Result, folder, median, verdict};

/// How much longer a call may take through the component.
const TARGET: Duration = Duration::from_micros(50);
/// Calls of one round.
const CALLS: u32 = 5_000;
/// What every call is.
const TOOL: (&str, &str) = ("read_file_content", r#"{"path": "file.rs"}"#);

pub async fn compare() -> Result<bool> {
    let place = folder()?;
    let plugins = plugins(place.path()).await?;
    let agent = agent(place.path(), &plugins).await?;
    let (mut through, mut native) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let none = called(&plugins, &agent, 0).await?;
        through.push(called(&plugins, &agent, CALLS).await?.saturating_sub(none) / CALLS);
        native.push(called_natively(&agent)? / CALLS);
    }
    let (through, native) = (median(through), median(native));
    let more = through.saturating_sub(native);
    println!("tool calls:");
    let shown = format!(
        "{} {through:.1?} through a component, {native:.1?} natively: {more:.1?} more, at most \
         {TARGET:.1?}",
        TOOL.0
    );
    Ok(verdict("call", &shown, more <= TARGET))
}

/// The tests' component makes so many calls, one after the other.
async fn called(plugins: &Plugins, agent: &Arc<Agent>, calls: u32) -> Result<Duration> {
    let brief = Brief {
        goal: "Measure".into(),
        cycle: 1,
        max_cycles: 1,
        instructions: None,
        guidance: Vec::new(),
        root_path: String::new(),
    };
    let domain = Domain {
        name: format!("calls {calls}"),
        description: TOOL.1.into(),
        file_patterns: vec![TOOL.0.into()],
    };
    let begun = Instant::now();
    let plan = plugins.plan_domain(agent.clone(), brief, "", domain, 1).await?;
    let took = begun.elapsed();
    if plan.summary == format!("{calls} calls were answered") {
        Ok(took)
    } else {
        Err(plan.summary.into())
    }
}

fn called_natively(agent: &Agent) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..CALLS {
        let folder = agent.slot.checkout.folder();
        let area = WriteArea { folder, root: &agent.root, keeper: None, witness: None };
        call_file_tool(area, false, TOOL.0, TOOL.1).ok_or("no such tool")??;
    }
    Ok(begun.elapsed())
}

/// The tests' component as the sub-planner; the shipped ones for the rest.
async fn plugins(place: &std::path::Path) -> Result<Plugins> {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let mut manifest = String::new();
    for role in ["main-planner", "worker", "judge"] {
        let component = top.join(format!("plugins/{role}/{role}.wasm"));
        manifest += &format!("[plugins.{role}]\nrole = \"{role}\"\ncomponent = {component:?}\n");
    }
    let component = top.join("tests/hostile/hostile.wasm");
    manifest += &format!("[plugins.busy]\nrole = \"sub-planner\"\ncomponent = {component:?}\n");
    let folder = place.join("plugins");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("plugins.toml"), manifest)?;
    let source = Source {
        folder,
        cache: place.join("compiled"),
        consent: Consent::Recorded(None),
        choice: Choice::new(),
    };
    Ok(Plugins::load(&source).await?)
}

/// An agent that may read a small checkout.
async fn agent(place: &std::path::Path, plugins: &Plugins) -> Result<Arc<Agent>> {
    let project = place.join("project");
    fs::create_dir_all(&project)?;
    fs::write(project.join("file.rs"), "fn main() {\n    println!(\"hello\");\n}\n")?;
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"] as &[&str],
        &["add", "--all"],
        &[
            "-c",
            "user.name=Bench",
            "-c",
            "user.email=b@example.com",
            "commit",
            "--quiet",
            "-m",
            "Begin",
        ],
    ] {
        if !Command::new("git").args(arguments).current_dir(&project).status()?.success() {
            return Err("git failed".into());
        }
    }
    let repository = Repository::open(&project, "main", true)?;
    let base = repository.begin("bench")?;
    let checkouts = Arc::new(Checkouts::new(repository, "bench", &place.join("cache"))?);
    let slot = Slot::open(&checkouts, "reader").await?;
    slot.stand_on(&base).await?;
    let settings = ModelSettings::new(ModelChoice::parse("ollama:nobody-is-asked")?);
    let model = Model::connect(settings).await?;
    let row = NewRun {
        goal: "Measure".into(),
        branch: "main".into(),
        root_path: project.display().to_string(),
        base,
        model: "none".into(),
        options: "{}".into(),
        max_cycles: 1,
        max_workers: 1,
    };
    let store =
        Database::open(&place.join("tasks.db"))?.start_run("bench", row, Clock::system()).await?;
    Ok(Arc::new(Agent {
        name: "reader".into(),
        role: Role::SubPlanner,
        slot,
        root: CheckoutPath::top(),
        model: RoleModel { model, price: None, max_output_tokens: None },
        account: Account {
            ledger: Ledger::new(Limits::default(), Default::default()),
            store,
            cycle: 1,
            subject: None,
        },
        transcript: Arc::new(CallTranscript::default()),
        sandbox: None,
        tools: plugins.tools(),
        landing: None,
        setback: OnceLock::new(),
        usage: Mutex::default(),
    }))
}
