//! A slot's reset after ten changed files.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use code_agent::repo::path::CheckoutPath;
use code_agent::repo::{Checkout, Checkouts, Repository};
use code_agent::tools::files;
use code_agent::tools::place::WriteArea;

use crate::git::{Project, run};
use crate::{RESET, ROUNDS, Result, median, milliseconds, verdict};

/// How many files are changed.
const CHANGED: usize = 10;
/// What was written less than two seconds ago is compared byte by byte, by git
/// as well as here; in use that is long ago.
const SETTLED: Duration = Duration::from_millis(2_100);

/// Prints what a reset costs; returns whether that is little enough.
pub fn compare(project: &Project) -> Result<bool> {
    let tip = run(&project.top(), &["rev-parse", "main"])?.trim().to_owned();
    let repository = Repository::open(&project.top(), "main", true)?;
    let checkouts = Checkouts::new(repository, "reset", &project.beside("cache"), false)?;
    let checkout = checkouts.open("slot")?;
    let begun = Instant::now();
    checkout.reset(&tip)?;
    let filled = begun.elapsed();
    let tree = project.beside("tree");
    let begun = Instant::now();
    let place = tree.display().to_string();
    run(&project.top(), &["worktree", "add", "--quiet", "--detach", &place, "main"])?;
    let added = begun.elapsed();
    std::thread::sleep(SETTLED);
    checkout.folder_for_command(false);
    checkout.reset(&tip)?;
    run(&tree, &["status", "--porcelain"])?;

    let (mut writes, mut tools, mut commands, mut statuses) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let changed: Vec<&str> = (0..CHANGED)
            .map(|number| &*project.files[(round * CHANGED + number) % project.files.len()])
            .collect();
        writes.push(write_again(&tree, &changed)?);
        change_by_tool(&checkout, &changed)?;
        tools.push(timed(|| Ok(checkout.reset(&tip)?))?);
        let folder = checkout.folder_for_command(false);
        changed.iter().try_for_each(|file| fs::write(folder.join(file), "changed\n"))?;
        commands.push(timed(|| Ok(checkout.reset(&tip)?))?);
        changed.iter().try_for_each(|file| fs::write(tree.join(file), "changed\n"))?;
        statuses.push(timed(|| run(&tree, &["status", "--porcelain"]).map(drop))?);
        run(&tree, &["checkout", "--quiet", "--", "."])?;
    }
    run(&project.top(), &["worktree", "remove", "--force", &place])?;

    let [write, tool, command, status] = [writes, tools, commands, statuses].map(median);
    println!(
        "  filling a slot {:.0} ms, git worktree add {:.0} ms",
        milliseconds(filled),
        milliseconds(added)
    );
    let most = write + RESET;
    let shown = format!(
        "{:.1} ms, at most {:.1}: writing ten files takes {:.1}",
        milliseconds(tool),
        milliseconds(most),
        milliseconds(write)
    );
    let reached = verdict("reset, tools", &shown, tool <= most);
    let shown =
        format!("{:.1} ms, at most git status: {:.1}", milliseconds(command), milliseconds(status));
    Ok(verdict("reset, commands", &shown, command <= status) && reached)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

/// How long it takes to remove these files and write them with what they held.
fn write_again(tree: &Path, changed: &[&str]) -> Result<Duration> {
    let mut contents = Vec::new();
    for file in changed {
        contents.push((tree.join(file), fs::read(tree.join(file))?));
    }
    timed(|| {
        for (path, bytes) in &contents {
            fs::remove_file(path)?;
            fs::write(path, bytes)?;
        }
        Ok(())
    })
}

fn change_by_tool(checkout: &Checkout, changed: &[&str]) -> Result<()> {
    let note = |path: &CheckoutPath| checkout.note(path);
    let root = CheckoutPath::top();
    let folder = checkout.folder();
    let area = WriteArea { folder, root: &root, keeper: None, witness: Some(&note) };
    for file in changed {
        let path = CheckoutPath::parse_file(file).map_err(|error| error.to_string())?;
        files::write(area, &path, b"changed\n", None).map_err(|error| error.to_string())?;
    }
    Ok(())
}
