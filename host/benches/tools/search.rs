//! Searching and listing beside ripgrep.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use code_agent::repo::folder::Folder;
use code_agent::repo::path::CheckoutPath;
use code_agent::tools::listing::list;
use code_agent::tools::search::{MOST_HITS, Query, search};

use crate::{ROUNDS, Result, median, verdict};

/// How many times ripgrep's time is allowed.
const TARGET: f64 = 1.2;
/// Found in some of the files, so that every file is read to its end.
const PATTERN: &str = r"fn \w+_\d*77\(";
/// What makes ripgrep look at what our walk looks at: the tree's own rules and
/// no others.
const SAME_FILES: [&str; 8] = [
    "--no-config",
    "--hidden",
    "--no-require-git",
    "--no-ignore-dot",
    "--no-ignore-exclude",
    "--no-ignore-global",
    "--no-ignore-parent",
    "--glob=!.git",
];

pub fn compare(tree: &Path) -> Result<bool> {
    let folder = Folder::open(tree)?;
    let query = Query { pattern: PATTERN.into(), max_hits: MOST_HITS, ..Query::default() };
    let found: BTreeSet<String> = search(&folder, &query)?
        .hits
        .iter()
        .map(|hit| format!("{}:{}:{}", hit.path.as_str(), hit.line, hit.text))
        .collect();
    let wanted: BTreeSet<String> = ripgrep(tree, &["--no-heading", "--line-number", PATTERN])?
        .lines()
        .map(str::to_owned)
        .collect();
    let searched = rounds(
        || search(&folder, &query).map(drop).map_err(Into::into),
        || ripgrep(tree, &["--no-heading", "--line-number", PATTERN]).map(drop),
    )?;
    let mut reached = report("search", &searched, found.len(), found == wanted);

    let top = CheckoutPath::top();
    let listed: BTreeSet<String> = list(&folder, &top, &[], u32::MAX)?
        .paths
        .iter()
        .map(|path| path.as_str().to_owned())
        .collect();
    let wanted: BTreeSet<String> =
        ripgrep(tree, &["--files"])?.lines().map(str::to_owned).collect();
    let times = rounds(
        || list(&folder, &top, &[], u32::MAX).map(drop).map_err(Into::into),
        || ripgrep(tree, &["--files"]).map(drop),
    )?;
    reached &= report("list", &times, listed.len(), listed == wanted);
    Ok(reached)
}

struct Times {
    ours: Duration,
    ripgrep: Duration,
}

/// Both take turns, so that a machine that slows down slows both.
fn rounds(ours: impl Fn() -> Result<()>, theirs: impl Fn() -> Result<()>) -> Result<Times> {
    let timed = |work: &dyn Fn() -> Result<()>| {
        let begun = Instant::now();
        work().map(|()| begun.elapsed())
    };
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_times.push(timed(&ours)?);
        their_times.push(timed(&theirs)?);
    }
    Ok(Times { ours: median(our_times), ripgrep: median(their_times) })
}

fn report(what: &str, times: &Times, found: usize, is_same: bool) -> bool {
    let ratio = times.ours.as_secs_f64() / times.ripgrep.as_secs_f64();
    let shown = format!(
        "{:.1?}, ripgrep {:.1?}: {ratio:.2} of its time, at most {TARGET}; {found} found, {}",
        times.ours,
        times.ripgrep,
        if is_same { "the same" } else { "NOT THE SAME" }
    );
    verdict(what, &shown, ratio <= TARGET && is_same && found > 0)
}

fn ripgrep(tree: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("rg")
        .args(SAME_FILES)
        .args(arguments)
        .current_dir(tree)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("this benchmark needs ripgrep (rg) on the PATH: {error}"))?;
    // 1 says that nothing was found.
    if output.status.code().is_none_or(|code| code > 1) {
        return Err(format!("rg failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
