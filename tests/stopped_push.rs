//! A run that is stopped while it pushes ends soon, with all that git has started,
//! and pushes when it is resumed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Command;

use model_server::{ModelServer, Script};

use crate::program::{code_agent, model, resume, run};
use crate::project::Project;
use crate::remote::Remote;
use crate::scripts::b_and_c;
use crate::watched::Watched;

fn script() -> Script {
    b_and_c()
}

/// A remote that takes a push in and never comes to an end with it.
struct Slow {
    project: Project,
    remote: Remote,
    /// Whoever takes part in a push has this open.
    told: PathBuf,
}

impl Slow {
    fn new() -> Self {
        let project = Project::new(&[("a.txt", "a\n")]);
        let remote = Remote::of(&project);
        let told = project.beside("told");
        assert!(Command::new("mkfifo").arg(&told).status().unwrap().success());
        remote
            .hook("pre-receive", &format!("exec 9>{0}; echo here >&9; sleep 3600", told.display()));
        Self { project, remote, told }
    }

    /// Waits until a push hangs.
    fn hangs(&self) -> BufReader<File> {
        let mut told = BufReader::new(File::open(&self.told).unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        assert_eq!(line, "here\n");
        told
    }

    fn assert_resumes(&self, server: &ModelServer, arguments: &[&str]) {
        let Self { project, remote, .. } = self;
        assert_eq!(project.read("b.txt"), "b\n", "what has landed is on the branch");
        fs::remove_file(remote.path().join("hooks/pre-receive")).unwrap();
        run(resume(project).args(arguments)).expect_code(0);
        assert_eq!(server.violations(), Vec::<String>::new());
        project.assert_sound();
        remote.git(&["fsck", "--strict", "--no-dangling"]);
        assert_eq!(remote.git(&["rev-parse", "main"]), project.git(&["rev-parse", "main"]));
        assert_eq!(project.git(&["rev-list", "--count", "main"]), "3");
        assert_eq!(project.query::<u32>("SELECT max(attempt) FROM tasks"), 1);
    }
}

#[test]
fn a_stop_ends_a_push_with_all_that_it_has_started_and_a_resumed_run_pushes() {
    let slow = Slow::new();
    let server = ModelServer::start(script()).unwrap();
    let before = slow.remote.git(&["rev-parse", "main"]);
    let mut command = code_agent(&slow.project);
    command.args(["--goal", "Write", "--json"]).args(model(&server));
    let mut program = Watched::start(&mut command);
    let mut told = slow.hangs();
    program.signal("INT");
    program.until_event("warning", "pushed when the run is resumed");
    let ended = program.ended().expect_code(130);
    assert_eq!(ended.events().last().unwrap()["outcome"], "interrupted");
    // Nobody of git's has it open any more.
    told.read_to_string(&mut String::new()).unwrap();
    assert_eq!(slow.remote.git(&["rev-parse", "main"]), before);
    assert_eq!(slow.project.query::<String>("SELECT outcome FROM runs"), "interrupted");
    slow.assert_resumes(&server, &[]);
}

#[test]
fn the_end_of_its_time_does_the_same() {
    let slow = Slow::new();
    let server = ModelServer::start(script()).unwrap();
    let mut command = code_agent(&slow.project);
    command.args(["--goal", "Write", "--json"]).args(model(&server));
    let program = Watched::start(&mut command);
    let told = slow.hangs();
    program.signal("INT");
    program.ended().expect_code(130);
    drop(told);
    // All that is left is to push, so that it hangs there when its time is over,
    // unless the machine is so slow that it is over before.
    run(resume(&slow.project).args(["--max-time", "5s"])).expect_code(4);
    assert_eq!(slow.project.query::<String>("SELECT outcome FROM runs"), "budget-used-up");
    slow.assert_resumes(&server, &["--max-time", "1h"]);
}
