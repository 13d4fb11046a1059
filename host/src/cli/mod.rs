//! The command line: parses, starts logging, calls the subcommand and turns
//! its end into an exit code. One file per subcommand.

mod cycles;
mod doctor;
mod follow;
mod landing_arguments;
mod look;
mod plugin;
mod plugin_arguments;
mod plugin_new;
mod plugin_trial;
mod progress;
mod prune;
mod restore;
mod resume;
mod run;
mod sandbox_arguments;
mod show;
mod spending;
mod spending_arguments;
mod status;
mod summary;
mod tasks;
mod terminal;
mod timeouts;
mod transcript;
mod undo;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

use crate::{Error, Result, sandbox};
use terminal::printable_lines;

/// Lets a team of coding agents work on a git repository until its goal is
/// reached.
#[derive(Parser)]
#[command(name = "code-agent", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArguments,
}

const EXIT_CODES: &str = "Exit codes: 0 the judge said that the goal is met, 1 the run failed or the judge gave up, \
2 wrong usage, 3 the cycles are used up, 4 the budget is used up, 130 interrupted. All but 0 and 2 can be resumed.";

#[derive(Subcommand)]
enum Command {
    /// Start a run (the default).
    Run(run::RunArguments),
    /// Go on with a run that was interrupted, crashed or failed.
    Resume(resume::ResumeArguments),
    /// Show how a run stands: planners, tasks, workers, tokens.
    Status(status::StatusArguments),
    /// List a run's tasks.
    Tasks(tasks::TasksArguments),
    /// List a run's cycles and what the judge said of them.
    Cycles(cycles::CyclesArguments),
    /// Show a task: draft, attempts, report and commits.
    Show(show::ShowArguments),
    /// Bring back what a tool has replaced, or list what there is.
    Restore(restore::RestoreArguments),
    /// Take back what a run, or one of its cycles, has landed.
    Undo(undo::UndoArguments),
    /// Remove what runs have left: references, kept files, checkouts, transcripts.
    Prune(prune::PruneArguments),
    /// Look whether this machine has what a run needs.
    Doctor(doctor::DoctorArguments),
    /// Look at plugins, make, try or check one, or allow what they ask for.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Show what was said between an agent and its model.
    Transcript(transcript::TranscriptArguments),
}

impl Command {
    fn log(&self) -> &LogArguments {
        match self {
            Self::Run(arguments) => &arguments.log,
            Self::Resume(arguments) => &arguments.log,
            Self::Status(arguments) => &arguments.look.log,
            Self::Tasks(arguments) => &arguments.look.log,
            Self::Cycles(arguments) => &arguments.look.log,
            Self::Show(arguments) => &arguments.look.log,
            Self::Restore(arguments) => &arguments.look.log,
            Self::Undo(arguments) => &arguments.look.log,
            Self::Prune(arguments) => &arguments.look.log,
            Self::Doctor(arguments) => &arguments.log,
            Self::Plugin(command) => command.log(),
            Self::Transcript(arguments) => &arguments.look.log,
        }
    }

    async fn call(self) -> Result<ExitCode> {
        match self {
            Self::Run(arguments) => run::run(arguments).await,
            Self::Resume(arguments) => resume::resume(arguments).await,
            Self::Status(arguments) => status::status(&arguments),
            Self::Tasks(arguments) => tasks::tasks(&arguments),
            Self::Cycles(arguments) => cycles::cycles(&arguments),
            Self::Show(arguments) => show::show(&arguments),
            Self::Restore(arguments) => restore::restore(&arguments),
            Self::Undo(arguments) => undo::undo(arguments).await,
            Self::Prune(arguments) => prune::prune(&arguments),
            Self::Doctor(arguments) => doctor::doctor(arguments).await,
            Self::Plugin(command) => plugin::plugin(command).await,
            Self::Transcript(arguments) => transcript::transcript(&arguments),
        }
    }
}

/// How the program speaks of itself on stderr.
#[derive(Args, Clone)]
struct LogArguments {
    /// How much to log on stderr: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: tracing::Level,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == sandbox::HELPER) {
        let arguments: Vec<_> = arguments.collect();
        return sandbox::helper::main(&arguments);
    }
    let command_line = CommandLine::parse();
    let command = command_line.command.unwrap_or(Command::Run(command_line.run));
    start_logging(command.log());
    raise_open_files();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(&Error::failed(format!("can't start the async runtime: {error}")));
        }
    };
    match runtime.block_on(command.call()) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Hundreds of checkouts, conversations and commands are open at once, more than
/// the usual soft limit of 1,024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("the limit of open files stays: {error}");
    }
}

fn fail(error: &Error) -> ExitCode {
    // Components and repositories write parts of these sentences. Where nobody
    // reads stderr any more, the exit code has to do.
    let _ = writeln!(io::stderr(), "code-agent: {}", printable_lines(&error.to_string()));
    ExitCode::from(match error {
        Error::Usage(_) => 2,
        Error::Failed(_) => 1,
    })
}

/// Only our own lines follow the level; libraries speak up from `warn` on.
fn start_logging(log: &LogArguments) {
    let ours = log.log_level.to_string().to_lowercase();
    let filter = EnvFilter::new(format!("warn,code_agent={ours}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        // It would tell of a stderr that is closed on stderr, and panic.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    match log.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
