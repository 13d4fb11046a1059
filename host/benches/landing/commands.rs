//! The same by the commands that a script would use: a working tree for each
//! worker, made once; a landing is a commit, a rebase onto the branch and a
//! merge that only moves it forward. Commits are made side by side, the branch
//! is moved by one at a time.

use std::fs;
use std::path::Path;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::Result;
use crate::git::{Project, run};

/// Landings of each worker.
const ROUNDS: usize = 2;

/// Landings a second.
pub fn measure(project: &Project, workers: usize) -> Result<f64> {
    let top = project.top();
    let trees: Vec<_> =
        (0..workers).map(|number| project.beside(&format!("script-{number}"))).collect();
    for (number, tree) in trees.iter().enumerate() {
        let (branch, tree) = (format!("script-{number}"), tree.display().to_string());
        run(&top, &["worktree", "add", "--quiet", "-b", &branch, &tree, "main"])?;
    }
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        took += land_all(project, &trees, round)?;
    }
    for tree in &trees {
        run(&top, &["worktree", "remove", "--force", &tree.display().to_string()])?;
    }
    Ok((workers * ROUNDS) as f64 / took.as_secs_f64())
}

/// Each changes a file, then all of them land at once.
fn land_all(project: &Project, trees: &[std::path::PathBuf], round: usize) -> Result<Duration> {
    let (branch, together) = (Mutex::new(()), Barrier::new(trees.len() + 1));
    let begun = std::thread::scope(|scope| {
        let working: Vec<_> = trees
            .iter()
            .enumerate()
            .map(|(number, tree)| {
                let file = &project.files[(round * trees.len() + number) % project.files.len()];
                let (branch, together) = (&branch, &together);
                scope.spawn(move || -> Result<()> {
                    let changed = fs::write(tree.join(file), format!("changed in {round}\n"));
                    together.wait();
                    changed?;
                    land(&project.top(), tree, number, branch)
                })
            })
            .collect();
        together.wait();
        let begun = Instant::now();
        for worker in working {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Result::Ok(begun)
    })?;
    Ok(begun.elapsed())
}

fn land(top: &Path, tree: &Path, number: usize, branch: &Mutex<()>) -> Result<()> {
    run(tree, &["commit", "--quiet", "--all", "--message=Change a file"])?;
    let _alone = branch.lock().map_err(|_| "a worker panicked")?;
    run(tree, &["rebase", "--quiet", "main"])?;
    run(top, &["merge", "--quiet", "--ff-only", &format!("script-{number}")])?;
    Ok(())
}
