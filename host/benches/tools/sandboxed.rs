//! What the walls cost a command that does nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use code_agent::sandbox::{Access, Folders, Job, Sandbox, probe, run};

use crate::{Result, folder, median, verdict};

/// How much longer a command may take in the sandbox.
const TARGET: Duration = Duration::from_millis(10);
/// Starting a process varies more than other things.
const ROUNDS: usize = 101;

pub async fn compare() -> Result<bool> {
    let folder = folder()?;
    let helper = PathBuf::from(env!("CARGO_BIN_EXE_code-agent"));
    let walled = probe(&helper, &Access::default(), folder.path()).await?;
    let bare = Sandbox { abilities: None, ..walled.clone() };
    let (mut inside, mut outside, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        inside.push(timed(&walled, folder.path()).await?);
        outside.push(timed(&bare, folder.path()).await?);
        let begun = Instant::now();
        Command::new("/bin/sh").args(["-c", "true"]).status()?;
        plain.push(begun.elapsed());
    }
    let (inside, outside) = (median(inside), median(outside));
    let more = inside.saturating_sub(outside);
    let shown = format!(
        "`true` {inside:.1?}, without walls {outside:.1?} (a process alone {:.1?}): {more:.1?} more, at \
         most {TARGET:.1?}; {:?}",
        median(plain),
        walled.abilities
    );
    println!("commands:");
    Ok(verdict("sandbox", &shown, more <= TARGET))
}

async fn timed(sandbox: &Sandbox, folder: &Path) -> Result<Duration> {
    let job = Job {
        command_line: "true".into(),
        folders: Folders::below(folder)?,
        time: Duration::from_secs(10),
        hold: Box::new(()),
    };
    let begun = Instant::now();
    let ran = run(sandbox, job).await?;
    let took = begun.elapsed();
    if ran.exit_code == Some(0) { Ok(took) } else { Err(format!("{ran:?}").into()) }
}
