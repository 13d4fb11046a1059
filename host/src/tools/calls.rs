//! What each file tool does with a model's arguments, and how it words what
//! it says to the model.

use super::arguments::Arguments;
use super::files::{self, Text, Written};
use super::listing::{self, in_brackets, skipped_note};
use super::output::{LONGEST_LINE, Output, shorten};
use super::place::WriteArea;
use super::search::{self, Query};
use super::{edit, nearest};
use crate::repo::folder::Folder;
use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// A listing for a model holds no more.
const MOST_PATHS: u32 = 2000;
/// How many hits a search shows where nobody says otherwise.
const USUAL_HITS: u32 = 100;

/// Does what the tool's name says. `None` where it is no file tool's name.
pub fn call(
    area: WriteArea<'_>,
    name: &str,
    arguments: &Arguments,
) -> Option<Result<String, CallError>> {
    Some(match name {
        "list_files_recursive" => list(area.folder, arguments),
        "read_file_content" => read(area.folder, arguments),
        "write_file_content" => write(area, arguments),
        "edit_file" => edit_file(area, arguments),
        "delete_file" => delete(area, arguments),
        "move_file" => move_file(area, arguments),
        "search_code_pattern" => search_code(area.folder, arguments),
        "get_directory_structure" => draw(area.folder, arguments),
        _ => return None,
    })
}

fn folder_path(arguments: &Arguments) -> Result<CheckoutPath, CallError> {
    CheckoutPath::parse(arguments.text("path").unwrap_or_default())
}

fn file_path(arguments: &Arguments, name: &str) -> Result<CheckoutPath, CallError> {
    CheckoutPath::parse_file(arguments.required_text(name)?)
}

fn list(folder: &Folder, arguments: &Arguments) -> Result<String, CallError> {
    let path = folder_path(arguments)?;
    let listing = listing::list(folder, &path, &arguments.texts("globs"), MOST_PATHS)
        .map_err(|error| nearest::explain(folder, &path, error))?;
    let mut output = Output::default();
    let fitting = listing.paths.iter().take_while(|path| output.push(path.as_str())).count();
    let mut notes = Vec::new();
    if listing.paths.is_empty() {
        notes.push(
            "no files, or none that .gitignore lets through; globs start at the top".to_owned(),
        );
    }
    if listing.truncated || fitting < listing.paths.len() {
        notes.push(format!(
            "these are the first {fitting} files, there are more: narrow it with path or globs"
        ));
    }
    notes.extend(skipped_note(listing.skipped));
    Ok(output.finish(&in_brackets(&notes)))
}

fn read(folder: &Folder, arguments: &Arguments) -> Result<String, CallError> {
    let path = file_path(arguments, "path")?;
    let first = arguments.number("first_line").unwrap_or(1);
    let last = arguments.number("last_line").unwrap_or(u32::MAX);
    files::check_range(first, last)?;
    let text =
        files::read_text(folder, &path).map_err(|error| read_failure(folder, &path, error))?;
    show(&path, &text, first as usize, last as usize)
}

fn read_failure(folder: &Folder, path: &CheckoutPath, error: CallError) -> CallError {
    match error {
        CallError::TooLong(sentence) => CallError::TooLong(format!(
            "{sentence}; look at parts of it with a command such as `head`, `tail` or `grep`"
        )),
        other => nearest::explain(folder, path, other),
    }
}

fn show(path: &CheckoutPath, text: &Text, first: usize, last: usize) -> Result<String, CallError> {
    let total = text.content.lines().count();
    if total == 0 {
        return Ok(format!("({path} is empty)"));
    }
    if first > total {
        return Err(CallError::Invalid(format!("{path} has only {total} lines")));
    }
    let mut output = Output::default();
    let lines = text.content.lines().enumerate().skip(first - 1).take(last - first + 1);
    let wanted = last.min(total) - first + 1;
    let shown = lines
        .take_while(|(index, line)| {
            output.push(&format!("{:5}\t{}", index + 1, shorten(line, LONGEST_LINE)))
        })
        .count();
    let mut notes = Vec::new();
    if shown < wanted {
        let next = first + shown;
        notes.push(format!("cut after line {} of {total}: go on with first_line {next}", next - 1));
    }
    if text.lossy {
        notes.push("the file is not UTF-8: what could not be shown is \u{fffd}".to_owned());
    }
    Ok(output.finish(&in_brackets(&notes)))
}

fn write(area: WriteArea<'_>, arguments: &Arguments) -> Result<String, CallError> {
    let path = file_path(arguments, "path")?;
    let content = arguments.required_text("content")?;
    let written = files::write(area, &path, content.as_bytes(), None)?;
    let what = match &written {
        Written::Created => "created",
        Written::Replaced { .. } => "replaced what was in",
    };
    let size = format!("{} lines, {} bytes", content.lines().count(), content.len());
    Ok(match written {
        Written::Replaced { kept: Some(blob) } => format!(
            "{what} {path}: {size}. What was there is kept; a person gets it back with \
             `code-agent restore {}`",
            blob.get(..10).unwrap_or(&blob)
        ),
        _ => format!("{what} {path}: {size}"),
    })
}

fn edit_file(area: WriteArea<'_>, arguments: &Arguments) -> Result<String, CallError> {
    let path = file_path(arguments, "path")?;
    let (old, new) = (arguments.required_text("old_text")?, arguments.required_text("new_text")?);
    let line = edit::edit(area, &path, old, new)
        .map_err(|error| nearest::explain(area.folder, &path, error))?;
    Ok(format!("edited {path} from line {line} on"))
}

fn delete(area: WriteArea<'_>, arguments: &Arguments) -> Result<String, CallError> {
    let path = file_path(arguments, "path")?;
    files::remove(area, &path).map_err(|error| nearest::explain(area.folder, &path, error))?;
    Ok(format!("deleted {path}"))
}

fn move_file(area: WriteArea<'_>, arguments: &Arguments) -> Result<String, CallError> {
    let (from, to) = (file_path(arguments, "from")?, file_path(arguments, "to")?);
    files::rename(area, &from, &to).map_err(|error| nearest::explain(area.folder, &from, error))?;
    Ok(format!("moved {from} to {to}"))
}

fn search_code(folder: &Folder, arguments: &Arguments) -> Result<String, CallError> {
    let query = Query {
        pattern: arguments.required_text("pattern")?.to_owned(),
        globs: arguments.texts("globs"),
        ignore_case: arguments.flag("ignore_case"),
        context_lines: arguments.number("context_lines").unwrap_or(0),
        max_hits: arguments.number("max_results").unwrap_or(USUAL_HITS).max(1),
    };
    Ok(show_hits(&search::search(folder, &query)?))
}

fn show_hits(found: &search::Hits) -> String {
    let mut output = Output::default();
    let (mut shown, mut is_full) = (0, false);
    let mut path = None;
    for hit in &found.hits {
        let is_new = path != Some(&hit.path);
        path = Some(&hit.path);
        let mark = if hit.matched { ':' } else { '-' };
        let line = format!("{}{mark} {}", hit.line, hit.text);
        let line = if is_new { format!("{}\n{line}", hit.path) } else { line };
        is_full = !output.push(&line);
        if is_full {
            break;
        }
        shown += usize::from(hit.matched);
    }
    let mut notes = Vec::new();
    if found.total == 0 {
        notes.push("no hits".to_owned());
    } else if shown < found.total {
        notes.push(format!(
            "the first {shown} of {} hits in {} files: narrow the pattern or the globs{}",
            found.total,
            found.files,
            if is_full { "" } else { ", or raise max_results" }
        ));
    } else {
        notes.push(format!("{} hits in {} files", found.total, found.files));
    }
    if found.skipped > 0 {
        notes.push(format!(
            "{} files were not searched: binary, larger than 10 MiB, or unreadable",
            found.skipped
        ));
    }
    output.finish(&in_brackets(&notes))
}

fn draw(folder: &Folder, arguments: &Arguments) -> Result<String, CallError> {
    let path = folder_path(arguments)?;
    let depth = arguments.number("depth").unwrap_or(listing::USUAL_DEPTH);
    listing::tree(folder, &path, depth).map_err(|error| nearest::explain(folder, &path, error))
}
