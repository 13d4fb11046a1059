//! `code-agent plugin new`: a folder for a plugin of one's own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::LogArguments;
use super::terminal::print;
use crate::Result;
use crate::plugin::manifest::Kind;
use crate::scaffold::{self, Language};

#[derive(Args, Clone)]
pub(super) struct NewArguments {
    /// The plugin's name, and the new folder's.
    name: String,
    /// What it is written in: rust, python or javascript.
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
    /// What it is: judge, worker, main-planner, sub-planner, merger or tool.
    #[arg(long, value_parser = scaffold::kind)]
    kind: Kind,
    /// Where the folder is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    #[command(flatten)]
    pub(super) log: LogArguments,
}

pub(super) fn new(arguments: &NewArguments) -> Result<ExitCode> {
    let NewArguments { name, lang, kind, into, .. } = arguments;
    let folder = into.join(name);
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    let files = scaffold::make(folder, name, *lang, *kind)?;
    print(&told(folder, &files, *lang))?;
    Ok(ExitCode::SUCCESS)
}

fn told(folder: &Path, files: &[String], language: Language) -> String {
    let (folder, count) = (folder.display(), files.len());
    let enter = format!("cd {folder}");
    let lines = [
        Some(enter.as_str()),
        language.preparation(),
        Some(language.build_command()),
        Some("code-agent plugin test"),
    ];
    let lines: Vec<&str> = lines.into_iter().flatten().collect();
    format!(
        "made {folder}, {count} files; README.md there says what to change. Now:\n\n{}\n",
        lines.join("\n")
    )
}
