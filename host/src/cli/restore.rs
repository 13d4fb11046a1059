//! `code-agent restore`: what a tool has replaced in a checkout, listed or
//! brought back into the working tree.

#![expect(clippy::disallowed_methods, reason = "the file is brought back where the user says")]

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::look::{LookArguments, RunChoice, json_line};
use super::terminal::{print, short, table, to_the_second};
use crate::queue::KeptFile;
use crate::repo::path::CheckoutPath;
use crate::repo::{blob, top_of};
use crate::{Error, Result};

#[derive(Args, Clone)]
pub(super) struct RestoreArguments {
    /// What to bring back: the beginning of its blob's id; without it, what there is is listed.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    blob: Option<String>,
    /// Where to put it; - for stdout [default: where it was].
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace what is there now.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    run: RunChoice,
    #[command(flatten)]
    pub(super) look: LookArguments,
}

pub(super) fn restore(arguments: &RestoreArguments) -> Result<ExitCode> {
    let reader = arguments.look.open()?;
    let (run, _) = arguments.run.choose(reader.runs()?)?;
    let kept = reader.kept_files(&run.id)?;
    match &arguments.blob {
        None => list(&kept, arguments.look.json)?,
        Some(beginning) => bring_back(find(&kept, beginning)?, arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(kept: &[KeptFile], json: bool) -> Result<()> {
    if json {
        let lines: Result<String> = kept.iter().map(json_line).collect();
        return print(&lines?);
    }
    let row = |file: &KeptFile| {
        let subject = file.subject.as_deref().map(short).unwrap_or_default().to_owned();
        [
            short(&file.blob_id).to_owned(),
            to_the_second(&file.created_at),
            subject,
            file.path.clone(),
        ]
    };
    let rows: Vec<_> = kept.iter().map(row).collect();
    print(&table(["blob", "replaced at", "task", "path"], &rows))
}

fn find<'a>(kept: &'a [KeptFile], beginning: &str) -> Result<&'a KeptFile> {
    let mut matching = kept.iter().filter(|file| file.blob_id.starts_with(beginning));
    let found = matching.next().ok_or_else(|| {
        Error::usage(format!(
            "nothing that was replaced begins with `{beginning}`; see `code-agent restore`"
        ))
    })?;
    if matching.any(|other| other.blob_id != found.blob_id) {
        return Err(Error::usage(format!(
            "more than one blob begins with `{beginning}`; give more of its id"
        )));
    }
    Ok(found)
}

fn bring_back(file: &KeptFile, arguments: &RestoreArguments) -> Result<()> {
    let root_path = &arguments.look.root_path;
    let contents = blob(root_path, &file.blob_id)?;
    if arguments.to.as_deref() == Some(Path::new("-")) {
        return std::io::stdout()
            .write_all(&contents)
            .map_err(|error| Error::failed(format!("can't write to stdout: {error}")));
    }
    let place = match &arguments.to {
        Some(place) => place.clone(),
        None => place_of(file, &top_of(root_path)?)?,
    };
    write(&place, &contents, arguments.force)?;
    print(&format!("{} is back, {} bytes\n", place.display(), contents.len()))
}

/// Where the file was, unless that is somewhere else by now: a link on the way may
/// have landed since, and lead anywhere.
fn place_of(file: &KeptFile, top: &Path) -> Result<PathBuf> {
    let path = CheckoutPath::parse_file(&file.path);
    let path = path.map_err(|error| Error::failed(error.to_string()))?;
    let is_link = |folder: &&Path| {
        std::fs::symlink_metadata(top.join(folder)).is_ok_and(|found| found.is_symlink())
    };
    match path.as_path().ancestors().skip(1).find(is_link) {
        None => Ok(top.join(path.as_path())),
        Some(link) => Err(Error::usage(format!(
            "{} is a link now, so that {path} would go elsewhere; name a place with --to",
            top.join(link).display()
        ))),
    }
}

/// Never replaces what somebody may still need: a new file is put in its place
/// whole, or not at all.
fn write(place: &Path, contents: &[u8], force: bool) -> Result<()> {
    let cannot =
        |error: std::io::Error| Error::failed(format!("can't write {}: {error}", place.display()));
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(cannot)?;
    // With what the umask leaves of it, as for any new file.
    let usual = Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().permissions(usual).tempfile_in(folder).map_err(cannot)?;
    file.write_all(contents).map_err(cannot)?;
    if let Some(permissions) = permissions_at(place).map_err(cannot)? {
        file.as_file().set_permissions(permissions).map_err(cannot)?;
    }
    let placed = if force { file.persist(place) } else { file.persist_noclobber(place) };
    match placed {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::usage(format!(
                "{} is there; name another place with --to, or replace it with --force",
                place.display()
            )))
        }
        Err(error) => Err(cannot(error.error)),
    }
}

/// The permissions of the file that is there, if one is. A link's say nothing.
fn permissions_at(place: &Path) -> std::io::Result<Option<Permissions>> {
    match std::fs::symlink_metadata(place) {
        Ok(found) if found.is_file() => {
            Ok(Some(Permissions::from_mode(found.permissions().mode() & 0o777)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
