//! With `--check-strict`, what others have pushed comes in by a merge that was
//! checked before it was pushed, or not at all.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Command;

use model_server::ModelServer;
use serde_json::Value;

use crate::chaos::SIGABRT;
use crate::program::{Ended, code_agent, model, resume, run};
use crate::project::Project;
use crate::remote::{Other, Remote};
use crate::scripts::b_and_c;
use crate::watched::Watched;

/// A run that writes b.txt and c.txt, and somebody else who has pushed theirs.txt.
struct Scene {
    project: Project,
    remote: Remote,
    server: ModelServer,
    /// What the remote's branch stood on before the run.
    theirs: String,
}

impl Scene {
    fn new() -> Self {
        let project = Project::new(&[("a.txt", "a\n")]);
        let remote = Remote::of(&project);
        Other::of(&remote, &project, "other").push("theirs");
        let theirs = remote.git(&["rev-parse", "main"]);
        let server = ModelServer::start(b_and_c()).unwrap();
        Self { project, remote, server, theirs }
    }

    /// The check may do what the user may.
    fn command(&self, check: &str) -> Command {
        let mut command = code_agent(&self.project);
        command.args(["--goal", "Write", "--json", "--unsandboxed-commands", "--max-workers", "1"]);
        command.args(["--check", check, "--check-strict"]).args(model(&self.server));
        command
    }

    /// Somebody pushes one more file by this line of a check, whenever it is run.
    fn rival(&self) -> String {
        Other::of(&self.remote, &self.project, "rival");
        let rival = self.project.beside("rival");
        format!(
            "(cd {} && export GIT_CONFIG_GLOBAL=/dev/null && \
             git() {{ command git -c user.name=R -c user.email=r@example.com \"$@\"; }} && \
             n=$(ls | wc -l) && git pull --quiet --rebase origin main && echo $n > rival-$n.txt && \
             git add --all && git commit --quiet --message rival-$n && \
             git push --quiet origin HEAD:main) || exit 9",
            rival.display()
        )
    }

    /// The commit that both sides' work is in, the same here and there.
    fn assert_together(&self) -> String {
        let Self { project, remote, server, theirs } = self;
        assert_eq!(server.violations(), Vec::<String>::new());
        project.git(&["fsck", "--strict", "--no-dangling"]);
        remote.git(&["fsck", "--strict", "--no-dangling"]);
        let main = project.git(&["rev-parse", "main"]);
        assert_eq!(remote.git(&["rev-parse", "main"]), main);
        project.git(&["merge-base", "--is-ancestor", theirs, "main"]);
        let titles = project.git(&["log", "--format=%s", "main"]);
        for title in ["Write b", "Write c"] {
            assert_eq!(titles.lines().filter(|line| *line == title).count(), 1, "{titles}");
        }
        assert_eq!(project.read("theirs.txt"), "theirs");
        assert_eq!(project.git(&["status", "--porcelain"]), "");
        assert!(!project.git(&["for-each-ref"]).contains("fetched"));
        main
    }

    /// Neither side has moved to the other's.
    fn assert_apart(&self) {
        let Self { project, remote, theirs, .. } = self;
        project.git(&["fsck", "--strict", "--no-dangling"]);
        assert_eq!(&remote.git(&["rev-parse", "main"]), theirs);
        let run = project.git(&["for-each-ref", "--format=%(objectname)", "refs/code-agent/runs"]);
        assert_eq!(project.git(&["rev-parse", "main"]), run);
        assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "a.txt\nb.txt\nc.txt");
        assert_eq!(project.git(&["rev-list", "--count", "main"]), "3");
        assert_eq!(project.git(&["status", "--porcelain"]), "");
    }
}

/// What was checked for no task and what was pushed, in order.
fn steps(ended: &Ended) -> Vec<(String, String)> {
    let step = |event: &Value| {
        let commit = event["commit"].as_str()?.to_owned();
        match event["event"].as_str()? {
            "checked" if event["task"].is_null() => {
                Some((if event["passed"] == true { "green" } else { "red" }.to_owned(), commit))
            }
            "pushed" => Some(("pushed".to_owned(), commit)),
            _ => None,
        }
    };
    ended.events().iter().filter_map(step).collect()
}

fn warnings(ended: &Ended) -> String {
    let events = ended.events().into_iter().filter(|event| event["event"] == "warning");
    events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_merge_with_what_others_pushed_is_checked_once_and_before_it_is_pushed() {
    let scene = Scene::new();
    let ended = run(&mut scene.command("test -e a.txt")).expect_code(0);
    let main = scene.assert_together();
    let own = scene.project.git(&["rev-parse", "main^1"]);
    let step = |what: &str, commit: &str| (what.to_owned(), commit.to_owned());
    assert_eq!(steps(&ended), [step("green", &own), step("green", &main), step("pushed", &main)]);
}

#[test]
fn a_merge_that_is_red_ends_the_run_and_the_named_commands_go_on() {
    let scene = Scene::new();
    let check = "if test -e theirs.txt && test -e b.txt && ! test -e both.txt; \
                 then echo the two quarrel; exit 1; fi";
    let ended = run(&mut scene.command(check)).expect_code(1);
    scene.assert_apart();
    let steps = steps(&ended);
    let told: Vec<&str> = steps.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(told, ["green", "red", "red"], "a red by chance would not end it");
    let said = ended.stderr;
    assert!(said.contains("red on both together") && said.contains("the two quarrel"), "{said}");
    let Scene { project, .. } = &scene;
    // Gone on with as it is, it is looked at again.
    run(&mut resume(project)).expect_code(1);
    scene.assert_apart();
    // As the sentence says.
    let (_, commands) = said.split_once("go on: ").unwrap();
    let (merge, go_on) = commands.split_once(" (mend, git commit), then ").unwrap();
    for command in merge.split(" && ") {
        project.git(&command.split(' ').skip(1).collect::<Vec<_>>());
    }
    project.write(&[("both.txt", "peace\n")]);
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--message", "Both"]);
    let id = go_on.lines().next().unwrap().strip_prefix("code-agent resume ").unwrap();
    run(resume(project).arg(id)).expect_code(0);
    scene.assert_together();
}

#[test]
fn one_red_by_chance_does_not_end_the_run() {
    let scene = Scene::new();
    let failed = scene.project.beside("failed");
    let check = format!(
        "test ! -e theirs.txt || test -e {0} || {{ touch {0}; exit 1; }}",
        failed.display()
    );
    let ended = run(&mut scene.command(&check)).expect_code(0);
    let main = scene.assert_together();
    let steps = steps(&ended);
    let of_merge: Vec<&str> =
        steps.iter().filter(|(_, at)| *at == main).map(|(what, _)| what.as_str()).collect();
    assert_eq!(of_merge, ["red", "green", "pushed"]);
}

#[test]
fn where_others_push_during_the_check_it_is_merged_and_checked_anew() {
    let scene = Scene::new();
    let came = scene.project.beside("came");
    let check = format!(
        "if test -e theirs.txt && ! test -e {0}; then touch {0}; {1}; fi",
        came.display(),
        scene.rival()
    );
    let ended = run(&mut scene.command(&check)).expect_code(0);
    let main = scene.assert_together();
    let steps = steps(&ended);
    let told: Vec<&str> = steps.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(told, ["green", "green", "green", "pushed"]);
    assert_ne!(steps[1].1, main, "the first merge lacks what came during its check");
    assert_eq!((&steps[2].1, &steps[3].1), (&main, &main));
    let files = scene.project.git(&["ls-tree", "--name-only", "main"]);
    assert!(files.contains("rival-"), "{files}");
    // Its history has one merge, however often others come first.
    assert_eq!(scene.project.git(&["rev-list", "--merges", "--count", "main"]), "1");
}

#[test]
fn where_others_push_during_each_check_the_run_goes_on_without_a_push() {
    let scene = Scene::new();
    let check = format!("if test -e theirs.txt; then {}; fi", scene.rival());
    let ended = run(&mut scene.command(&check)).expect_code(0);
    assert!(warnings(&ended).contains("others pushed each of 5 times"), "{}", warnings(&ended));
    let steps = steps(&ended);
    assert_eq!(steps.len(), 1 + 5, "{steps:?}");
    let Scene { project, remote, .. } = &scene;
    project.assert_sound();
    assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "a.txt\nb.txt\nc.txt");
    let titles = remote.git(&["log", "--format=%s", "main"]);
    assert!(titles.contains("rival-") && !titles.contains("Write"), "{titles}");
    // Nobody has what was not pushed, so that it can be taken back as if it had never been.
    assert!(!project.git(&["for-each-ref"]).contains("pushed/"));
}

#[test]
fn a_stop_ends_the_check_of_a_merge_and_a_resumed_run_pushes() {
    let scene = Scene::new();
    let Scene { project, server, .. } = &scene;
    let (told, over) = (project.beside("told"), project.beside("over"));
    assert!(Command::new("mkfifo").arg(&told).status().unwrap().success());
    let check = format!(
        "test ! -e theirs.txt || test -e {} || {{ echo here > {}; sleep 3600; }}",
        over.display(),
        told.display()
    );
    let mut program = Watched::start(&mut scene.command(&check));
    let mut line = String::new();
    BufReader::new(File::open(&told).unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    program.signal("INT");
    program.until_event("warning", "pushed when the run is resumed");
    program.ended().expect_code(130);
    scene.assert_apart();
    fs::write(&over, "").unwrap();
    run(resume(project).args(model(server))).expect_code(0);
    scene.assert_together();
}

#[test]
fn a_host_that_dies_when_it_has_merged_has_moved_nothing() {
    let scene = Scene::new();
    let mut command = scene.command("test -e a.txt");
    let died = run(command.env("CODE_AGENT_CRASH_AT", "publish: merged"));
    assert_eq!(died.signal, Some(SIGABRT), "{}", died.stderr);
    scene.assert_apart();
    run(&mut resume(&scene.project)).expect_code(0);
    scene.assert_together();
}
