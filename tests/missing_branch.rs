//! Where the branch that a run is to work on is missing: what it is made from, and
//! that nothing of the user's gets to `origin` with it unasked.

use std::path::Path;

use model_server::{ModelServer, Script};

use crate::program::{Ended, bare, default_plugins, model, run};
use crate::project::Project;
use crate::remote::{Remote, git};
use crate::scripts::{content_judge, domain, plan, writer};

/// A remote with `main`, and with `dev` that is one commit further; and a clone
/// that has only `dev`, made with these arguments.
struct Scene {
    project: Project,
    remote: Remote,
    /// What the remote's `main` stands on.
    main: String,
    /// The commit that nobody has reviewed.
    dev: String,
    _origin: Project,
}

impl Scene {
    fn cloned_with(arguments: &[&str]) -> Self {
        let origin = Project::new(&[("a.txt", "a\n")]);
        let main = origin.git(&["rev-parse", "main"]);
        let remote = Remote::of(&origin);
        origin.git(&["switch", "--quiet", "--create", "dev"]);
        origin.write(&[("draft.txt", "not reviewed\n")]);
        origin.git(&["add", "--all"]);
        origin.git(&["commit", "--quiet", "--message", "Draft"]);
        origin.git(&["push", "--quiet", "origin", "dev"]);
        let dev = origin.git(&["rev-parse", "dev"]);
        let project = Project::without_git();
        let url = remote.file_url();
        project.git(&[&["clone", "--quiet", "-b", "dev"], arguments, &[&url, "."]].concat());
        Self { project, remote, main, dev, _origin: origin }
    }

    /// A run that writes these two files, on the usual branch.
    fn go(&self, files: [&str; 2]) -> Ended {
        go(&self.project, files)
    }

    fn at(&self, revision: &str) -> String {
        self.project.git(&["rev-parse", revision])
    }

    fn theirs(&self) -> String {
        self.remote.git(&["rev-parse", "main"])
    }
}

fn go(project: &Project, [one, two]: [&str; 2]) -> Ended {
    let titles = [format!("Write {one}"), format!("Write {two}")];
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[(&titles[0], one)]),
        domain("two", &[(&titles[1], two)]),
        writer(&titles[0], one, "new\n"),
        writer(&titles[1], two, "new\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = bare(project);
    command.arg("--plugins").arg(default_plugins());
    let ended = run(command.args(["--goal", "Write", "--json"]).args(model(&server)));
    assert_eq!(server.violations(), Vec::<String>::new());
    ended
}

fn warnings(ended: &Ended) -> String {
    let events = ended.events().into_iter().filter(|event| event["event"] == "warning");
    events.map(|event| event["message"].as_str().unwrap().to_owned() + "\n").collect()
}

fn has(folder: &Path, branch: &str, commit: &str) -> bool {
    git(folder, &["rev-list", branch]).lines().any(|line| line == commit)
}

#[test]
fn where_origin_has_the_branch_it_is_made_from_there_and_nothing_of_head_is_pushed() {
    let scene = Scene::cloned_with(&[]);
    let Scene { project, remote, main, dev, .. } = &scene;
    // What is checked out is no part of it, and may be dirty.
    project.write(&[("draft.txt", "still at it\n")]);
    let ended = scene.go(["b.txt", "c.txt"]).expect_code(0);
    assert_eq!(&scene.at("main~2"), main);
    assert_eq!(scene.theirs(), scene.at("main"), "it is pushed: {}", warnings(&ended));
    assert!(!has(remote.path(), "main", dev));
    assert!(warnings(&ended).contains("made from origin/main"), "{}", warnings(&ended));
    assert_eq!((&scene.at("HEAD"), &scene.at("dev")), (dev, dev));
    assert_eq!(project.read("draft.txt"), "still at it\n");
}

#[test]
fn a_branch_made_from_head_is_not_pushed_before_the_user_has_done_so_once() {
    // Nothing here tells that the remote has a `main`.
    let scene = Scene::cloned_with(&["--single-branch"]);
    let Scene { project, main, dev, .. } = &scene;
    let ended = scene.go(["b.txt", "c.txt"]).expect_code(0);
    assert_eq!(&scene.at("main~2"), dev);
    assert_eq!(&scene.theirs(), main, "nobody has asked for that: {}", warnings(&ended));
    let said = warnings(&ended);
    assert!(said.contains("made from HEAD"), "at the beginning: {said}");
    assert!(said.contains("not pushed") && said.contains("git push origin main"), "{said}");
    // The branch is there now, and it is the same work that would go along.
    let ended = scene.go(["d.txt", "e.txt"]).expect_code(0);
    assert_eq!(&scene.theirs(), main, "{}", warnings(&ended));
    assert!(warnings(&ended).contains("git push origin main"), "{}", warnings(&ended));
    assert!(!project.git(&["for-each-ref"]).contains("fetched"));
    assert!(!project.git(&["for-each-ref"]).contains("pushed/"), "nobody has it");
    // As the sentence says.
    project.git(&["push", "--quiet", "origin", "main"]);
    let ended = scene.go(["f.txt", "g.txt"]).expect_code(0);
    assert_eq!(scene.theirs(), scene.at("main"), "{}", warnings(&ended));
    assert!(!warnings(&ended).contains("git push"), "{}", warnings(&ended));
}

#[test]
fn no_branch_appears_on_origin_that_nobody_has_made_there() {
    let project = Project::new(&[("a.txt", "a\n")]);
    project.git(&["branch", "--move", "master"]);
    let remote = Remote::of(&project);
    let ended = go(&project, ["b.txt", "c.txt"]).expect_code(0);
    assert_eq!(remote.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/master");
    assert!(warnings(&ended).contains("git push origin main"), "{}", warnings(&ended));
    assert_eq!(project.git(&["show", "main:b.txt"]), "new");
}

#[test]
fn a_branch_that_was_made_anew_from_what_origin_has_is_pushed() {
    let scene = Scene::cloned_with(&["--single-branch"]);
    let Scene { project, remote, dev, .. } = &scene;
    scene.go(["b.txt", "c.txt"]).expect_code(0);
    project.git(&["fetch", "--quiet", "origin", "main"]);
    project.git(&["branch", "--force", "main", "FETCH_HEAD"]);
    let ended = scene.go(["d.txt", "e.txt"]).expect_code(0);
    assert_eq!(scene.theirs(), scene.at("main"), "{}", warnings(&ended));
    assert!(!has(remote.path(), "main", dev));
}
