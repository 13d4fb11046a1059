//! Tools that tell where things are: `outline`, `find_definition` and
//! `find_references`, for seven languages, by their syntax trees. Names are all
//! they know: of two things with one name they tell both. Owns what a model can
//! ask; how a file is read is the modules' business, from `language` (tables) and
//! `naming` over `symbols` (the walk) to `report` (the answer); `scope` says
//! which files are read.

mod language;
mod naming;
mod report;
mod scope;
mod symbols;

use code_agent_sdk::Tool;
use code_agent_sdk::types::Error;
use report::Report;
use schemars::JsonSchema;
use serde::Deserialize;

code_agent_sdk::export_tools!(tools);

fn tools() -> Vec<Tool> {
    vec![
        Tool::new("outline", outline),
        Tool::new("find_definition", find_definition),
        Tool::new("find_references", find_references),
    ]
}

/// Lists the functions and types of source files with their first and last lines
/// and their signatures, nested as in the file. Reads Rust, Python, JavaScript,
/// TypeScript, Go, Java and C. Cheaper than reading the files: then read the lines
/// that matter.
#[derive(Deserialize, JsonSchema)]
struct Outline {
    /// Files, folders or globs, relative to the repository's root; none: all.
    #[serde(default)]
    paths: Vec<String>,
}

/// Finds where a function, type, method, field, variant or constant is defined.
#[derive(Deserialize, JsonSchema)]
struct FindDefinition {
    /// Its name, or with what it is a part of: `parse`, `Parser::parse`,
    /// `Parser.parse`.
    name: String,
    /// Only in these files, folders or globs; none: everywhere.
    #[serde(default)]
    paths: Vec<String>,
}

/// Finds every line of code where a name is used, with the function or type
/// around it. Comments and texts do not count. It goes by the name alone: what
/// has the same name elsewhere is found, too.
#[derive(Deserialize, JsonSchema)]
struct FindReferences {
    /// The name alone, without what it is a part of.
    name: String,
    /// Only in these files, folders or globs; none: everywhere.
    #[serde(default)]
    paths: Vec<String>,
}

fn outline(Outline { paths }: Outline) -> Result<String, Error> {
    let mut report = Report::default();
    for path in scope::all(&paths, &mut report)? {
        if report.is_full() {
            report.line(&path);
        } else if let Some(source) = scope::open(&path, &mut report) {
            report::outline(&mut report, &source);
        }
    }
    let nothing = format!("There is no source file here; {}.", scope::known());
    Ok(report.finish(&nothing, "name fewer files in `paths`"))
}

fn find_definition(FindDefinition { name, paths }: FindDefinition) -> Result<String, Error> {
    let wanted: Vec<&str> =
        name.split([':', '.', '-', '>']).filter(|part| !part.is_empty()).collect();
    let last = wanted.last().copied().unwrap_or_default();
    let mut report = Report::default();
    for path in scope::mentioning(last, &paths, &mut report)? {
        if let Some(source) = scope::open(&path, &mut report) {
            report::definitions(&mut report, &source, &wanted);
        }
    }
    let nothing = format!(
        "`{name}` is defined nowhere here; {}. It may be local to a function, come from a \
         dependency, or be made by a macro.",
        scope::known()
    );
    Ok(report.finish(&nothing, "name a part of the repository in `paths`"))
}

fn find_references(FindReferences { name, paths }: FindReferences) -> Result<String, Error> {
    let mut report = Report::default();
    let (mut files, mut uses) = (0, 0);
    for path in scope::mentioning(&name, &paths, &mut report)? {
        if let Some(source) = scope::open(&path, &mut report) {
            let found = report::references(&mut report, &source, &name);
            uses += found;
            files += usize::from(found > 0);
        }
    }
    let nothing = format!("`{name}` stands nowhere in code here; {}.", scope::known());
    let text = report.finish(&nothing, "name a part of the repository in `paths`");
    Ok(if uses == 0 { text } else { format!("{uses} times in {files} files\n{text}") })
}

#[cfg(test)]
mod tests;
