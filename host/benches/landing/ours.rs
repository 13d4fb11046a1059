//! The product's way: each worker claims a task, has its slot reset to the tip
//! and changes a file by the tool; then all of them land at once. What counts
//! is the time from there, when workers have returned, until the last row says
//! that its task is completed and its commit has landed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use code_agent::agent::{ClaimLanding, RunLog, Scope, Slot};
use code_agent::clock::Clock;
use code_agent::queue::{Claim, Database, NewRun, Plan, RunStore, Store};
use code_agent::repo::path::CheckoutPath;
use code_agent::repo::{Checkouts, Lander, Repository};
use code_agent::tools::files;
use code_agent::tools::place::WriteArea;
use code_agent::transcript::{About, Journal};
use code_agent::types::{Priority, Report, Role, TaskDraft};
use tokio::task::JoinSet;

use crate::Result;
use crate::git::{Project, run};

const CYCLE: u32 = 1;

pub struct Measured {
    /// Landings a second.
    pub rate: f64,
    /// The same with all that lies between two landings.
    pub whole_rate: f64,
}

/// One worker with its slot.
struct Worker {
    slot: Arc<Slot>,
    number: usize,
}

/// What workers share.
struct Team {
    repository: Repository,
    store: RunStore,
    lander: Arc<Lander>,
    run: String,
}

pub async fn measure(project: &Project, workers: usize, rounds: usize) -> Result<Measured> {
    let team = Arc::new(Team::start(project, workers, workers * rounds).await?);
    let checkouts =
        Checkouts::new(team.repository.clone(), &team.run, &project.beside("cache"), false)?;
    let checkouts = Arc::new(checkouts);
    let (mut all, mut filling) = (Vec::new(), JoinSet::new());
    for number in 0..workers {
        let slot = Slot::open(&checkouts, &format!("worker-{number}")).await?;
        let (filled, tip) = (slot.clone(), team.repository.tip(&team.run)?);
        filling.spawn(async move { filled.stand_on(&tip).await });
        all.push(Arc::new(Worker { slot, number }));
    }
    while let Some(filled) = filling.join_next().await {
        filled??;
    }
    let (mut landing, whole) = (Duration::ZERO, Instant::now());
    for round in 0..rounds {
        landing += team.clone().land_all(project, &all, round).await?;
    }
    let (whole, landings) = (whole.elapsed(), (workers * rounds) as f64);
    team.check(project, workers * rounds)?;
    let rate = landings / landing.as_secs_f64();
    Ok(Measured { rate, whole_rate: landings / whole.as_secs_f64() })
}

impl Team {
    /// A run with so many tasks.
    async fn start(project: &Project, workers: usize, tasks: usize) -> Result<Self> {
        let repository = Repository::open(&project.top(), "main", true)?;
        let run = format!("run-{workers}");
        let base = repository.begin(&run)?;
        let new = NewRun {
            goal: "Measure landing".into(),
            branch: "main".into(),
            root_path: project.top().display().to_string(),
            base: base.clone(),
            model: "none".into(),
            options: "{}".into(),
            max_cycles: 1,
            max_workers: 16,
        };
        let path = project.beside(&format!("{run}.db"));
        let store = Database::open(&path)?.start_run(&run, new, Clock::system()).await?;
        let open = store.start_cycle(CYCLE, base).await?;
        let plan = Plan { tasks: (0..tasks).map(draft).collect(), ..Plan::default() };
        store.finish_planner(CYCLE, &open.planners[0], plan).await?;
        let log = RunLog { store: store.clone(), journal: Journal::default() };
        let lander = Arc::new(Lander::start(&repository, &run, log)?);
        Ok(Self { repository, store, lander, run })
    }

    /// One landing of each worker; returns how long those took.
    async fn land_all(
        self: Arc<Self>,
        project: &Project,
        workers: &[Arc<Worker>],
        round: usize,
    ) -> Result<Duration> {
        let tip = self.repository.tip(&self.run)?;
        let mut claims = Vec::new();
        for worker in workers {
            let number = round * workers.len() + worker.number;
            let file = &project.files[number % project.files.len()];
            claims.push(self.change(worker, &tip, file, round).await?);
        }
        let begun = Instant::now();
        let mut landing = JoinSet::new();
        for (worker, claim) in workers.iter().zip(claims) {
            let (team, worker) = (self.clone(), worker.clone());
            landing.spawn(async move { team.land(&worker, claim).await });
        }
        while let Some(landed) = landing.join_next().await {
            landed??;
        }
        Ok(begun.elapsed())
    }

    async fn change(&self, worker: &Worker, tip: &str, file: &str, round: usize) -> Result<Claim> {
        let claim = self.store.claim(CYCLE, &worker.slot.name).await?.ok_or("no task is left")?;
        worker.slot.stand_on(tip).await?;
        let checkout = &worker.slot.checkout;
        let note = |path: &CheckoutPath| checkout.note(path);
        let root = CheckoutPath::top();
        let area = WriteArea {
            folder: checkout.folder(),
            root: &root,
            keeper: None,
            witness: Some(&note),
        };
        let text = format!("changed in round {round} by {}\n", worker.number);
        let path = CheckoutPath::parse_file(file).map_err(|error| error.to_string())?;
        files::write(area, &path, text.as_bytes(), None).map_err(|error| error.to_string())?;
        Ok(claim)
    }

    async fn land(&self, worker: &Worker, claim: Claim) -> Result<()> {
        let about = About {
            agent: claim.slot.clone(),
            role: Role::Worker,
            subject: Some(claim.task.id.clone()),
            cycle: CYCLE,
            attempt: claim.task.attempt,
            base: None,
        };
        let message = claim.task.draft.title.clone();
        let scope = Arc::new(Scope::of(&claim.task.draft));
        let landing = ClaimLanding {
            lander: self.lander.clone(),
            claim,
            cycle: CYCLE,
            model: "none".into(),
            clock: Clock::system(),
            transcript: Arc::new(Journal::default().call(about)),
            check: None,
            scope,
            allow_secrets: false,
        };
        let report = Report { success: true, summary: "It is done.".into(), notes: Vec::new() };
        let checkout = &worker.slot.checkout;
        let landed = match landing.collect(checkout).await {
            Ok(changes) => landing.land(checkout, changes, &message, Some(&report)).await,
            Err(why) => Err(why),
        };
        match landed {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("nothing landed".into()),
            Err(why) => Err(format!("{:?}", why.into_setback()).into()),
        }
    }

    /// Nothing counts that did not do the work.
    fn check(&self, project: &Project, landings: usize) -> Result<()> {
        let range = format!("main..refs/code-agent/runs/{}", self.run);
        let commits = run(&project.top(), &["rev-list", "--count", &range])?;
        let database = rusqlite::Connection::open(project.beside(&format!("{}.db", self.run)))?;
        let completed: u32 = database.query_row(
            "SELECT count(*) FROM tasks JOIN landings ON task_id = id
             WHERE status = 'completed' AND landed = 1 AND landings.commit_id = tasks.commit_id",
            [],
            |row| row.get(0),
        )?;
        if commits.trim() == landings.to_string() && completed as usize == landings {
            return Ok(());
        }
        Err(format!("{landings} landings left {} commits, {completed} rows", commits.trim()).into())
    }
}

fn draft(number: usize) -> TaskDraft {
    TaskDraft {
        title: format!("Change file {number}"),
        description: "Write a line.".into(),
        priority: Priority::Medium,
        file_paths: Vec::new(),
    }
}
