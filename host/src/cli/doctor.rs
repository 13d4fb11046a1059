//! `code-agent doctor`: whether what a run needs is there, and what to do where
//! it isn't. Changes nothing but the cache folder.

#![expect(clippy::disallowed_methods, reason = "the cache folder is no checkout")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::LogArguments;
use super::plugin_arguments::PluginArguments;
use super::run::absolute;
use super::sandbox_arguments::SandboxArguments;
use super::terminal::print;
use crate::config::Named;
use crate::plugin::Plugins;
use crate::repo::Repository;
use crate::sandbox::probe;
use crate::{Options, Result};

#[derive(Args, Clone)]
pub(super) struct DoctorArguments {
    /// The git repository, or the folder in it that a run would be about.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root_path: PathBuf,
    /// The branch that the work would go to [default: main].
    #[arg(long)]
    branch: Option<String>,
    #[command(flatten)]
    plugins: PluginArguments,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

/// What was looked at, and a sentence about it; an error where a run would fail.
type Finding = (&'static str, Result<String>);

pub(super) async fn doctor(arguments: DoctorArguments) -> Result<ExitCode> {
    let mut options = Options::new("Look", absolute(&arguments.root_path)?);
    arguments.plugins.overlay(&mut options)?;
    arguments.sandbox.overlay(&mut options)?;
    let config = config(&mut options, arguments.branch);
    let findings: [Finding; 5] = [
        ("config", config),
        ("repository", repository(&options)),
        ("plugins", plugins(&options).await),
        ("cache", cache(&options)),
        ("commands", commands(&options).await),
    ];
    let mut well = true;
    for (what, finding) in findings {
        let line = match finding {
            Ok(sentence) => format!("ok    {what}: {sentence}\n"),
            // A run goes on without commands, and workers can prove less.
            Err(error) => {
                well = false;
                format!("FAIL  {what}: {error}\n")
            }
        };
        print(&line)?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes in what the files say, as a run does.
fn config(options: &mut Options, branch: Option<String>) -> Result<String> {
    options.fill(&Named { branch, ..Named::default() })?;
    options.check()?;
    Ok("what the config files and the flags say can be meant".into())
}

fn repository(options: &Options) -> Result<String> {
    let found = Repository::open(&options.root_path, &options.branch, true)?;
    Ok(format!("{}, a run can start on the branch {}", found.top().display(), found.branch()))
}

async fn plugins(options: &Options) -> Result<String> {
    let source = options.plugin_source()?;
    Plugins::load(&source).await?;
    let folders = source.folders.iter().map(|folder| folder.display().to_string());
    Ok(format!("{}, every role is filled", folders.collect::<Vec<_>>().join(" and ")))
}

fn cache(options: &Options) -> Result<String> {
    let folder = options.cache_folder()?;
    std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempdir_in(&folder)).map_err(
        |error| crate::Error::failed(format!("{} can't be written: {error}", folder.display())),
    )?;
    Ok(folder.display().to_string())
}

async fn commands(options: &Options) -> Result<String> {
    if options.unsandboxed_commands {
        return Ok("NOT SANDBOXED: they can do whatever you can (--unsandboxed-commands)".into());
    }
    let Some(helper) = &options.sandbox_helper else {
        return Err(crate::Error::failed("this program's own path is not known"));
    };
    options.access.check()?;
    let folder = options.cache_folder()?;
    let sandbox = probe(helper, &options.access, &folder).await.map_err(|error| {
        crate::Error::failed(format!(
            "{error}. Runs go on without `run_command`; it needs seccomp and Linux with Landlock \
             (`landlock` in /sys/kernel/security/lsm): 6.2 or newer with namespaces of users, else \
             6.12 or newer"
        ))
    })?;
    let without = sandbox.abilities.and_then(|abilities| abilities.without);
    Ok(match without {
        None => "behind namespaces, Landlock and seccomp".into(),
        Some(why) => format!(
            "behind Landlock and seccomp, without a network of their own, for namespaces of users \
             are not to be had ({why}); on Ubuntu an AppArmor profile for this program allows them"
        ),
    })
}
