//! What lands is pushed to `origin`, beside others who push there too.

use std::fs;
use std::sync::{Arc, Mutex};

use model_server::{ModelServer, Rule, Script, submit_verdict};

use crate::program::{Ended, code_agent, model, resume, run};
use crate::project::Project;
use crate::remote::{Gate, HttpServer, Other, Remote, Step};
use crate::scripts::{b_and_c, domain, edit, plan_when, writer};

/// Twenty lines, so that changes at both ends don't meet.
fn shared() -> String {
    (1..=20).map(|number| format!("line {number}\n")).collect()
}

fn project() -> Project {
    Project::new(&[("shared.txt", &shared()), ("a.txt", "a\n")])
}

/// One cycle in which b.txt and c.txt come.
fn one_cycle() -> Script {
    b_and_c()
}

/// Two cycles; in the second one somebody changes the shared file's beginning.
fn two_cycles() -> Script {
    let changes = |title: &str| Rule::worker(&[&format!("Task: {title}\n")]);
    Script::new([
        plan_when(&["Cycle: 1 of 2"], &["one", "two"]),
        plan_when(&["Cycle: 2 of 2"], &["three", "four"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        domain("three", &[("Write d", "d.txt")]),
        domain("four", &[("Change the first line", "shared.txt")]),
        writer("Write b", "b.txt", "b\n"),
        writer("Write c", "c.txt", "c\n"),
        writer("Write d", "d.txt", "d\n"),
        changes("Change the first line")
            .turn(edit("shared.txt", "line 1\n", "the first line\n"))
            .turn(model_server::finish_task("Done.")),
        Rule::judge(&["Cycle: 1 of 2"]).turn(submit_verdict("continue", false, "Go on.")),
        Rule::judge(&["Cycle: 2 of 2"]).turn(submit_verdict("stop", true, "All is there.")),
    ])
}

fn run_it(project: &Project, script: Script, arguments: &[&str]) -> Ended {
    let server = ModelServer::start(script).unwrap();
    let mut command = code_agent(project);
    command.args(["--goal", "Write", "--json", "--max-cycles", "2"]).args(arguments);
    run(command.args(model(&server)))
}

fn pushed(ended: &Ended) -> Vec<serde_json::Value> {
    ended.events().into_iter().filter(|event| event["event"] == "pushed").collect()
}

fn warnings(ended: &Ended) -> String {
    let events = ended.events().into_iter().filter(|event| event["event"] == "warning");
    events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_landed_is_pushed_after_each_cycle_and_hooks_stay_off() {
    let project = project();
    let remote = Remote::of(&project);
    let hook = project.path().join(".git/hooks/pre-push");
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    let mut permissions = fs::metadata(&hook).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&hook, permissions).unwrap();
    let ended = run_it(&project, two_cycles(), &[]).expect_code(0);
    project.assert_sound();
    let pushed = pushed(&ended);
    assert_eq!(pushed.len(), 2, "{pushed:?}");
    assert!(pushed.iter().all(|event| event["branch"] == "main" && event["merged"] == false));
    let main = project.git(&["rev-parse", "main"]);
    assert_eq!(pushed[1]["commit"], main.as_str());
    assert_eq!(remote.git(&["rev-parse", "main"]), main);
    assert_eq!(project.git(&["rev-parse", "origin/main"]), main);
    assert!(!remote.git(&["for-each-ref"]).contains("code-agent"), "only the branch is pushed");
}

#[test]
fn nothing_is_pushed_where_nobody_wants_it() {
    for (name, config, arguments) in [
        ("flag", "", &["--no-push"][..]),
        ("uncommitted", "", &["--no-auto-commit"]),
        ("project", "push = false\n", &[]),
    ] {
        let project = project();
        if !config.is_empty() {
            project.write(&[(".code-agent.toml", config)]);
            project.git(&["add", "--all"]);
            project.git(&["commit", "--quiet", "--message", "config"]);
        }
        let remote = Remote::of(&project);
        let before = remote.git(&["rev-parse", "main"]);
        let ended = run_it(&project, one_cycle(), arguments).expect_code(0);
        assert_eq!(remote.git(&["rev-parse", "main"]), before, "{name}");
        assert_eq!((pushed(&ended).len(), warnings(&ended)), (0, String::new()), "{name}");
    }
    // Without a remote of that name nothing is said either.
    let project = project();
    project.git(&["remote", "add", "elsewhere", "/nowhere"]);
    let ended = run_it(&project, one_cycle(), &[]).expect_code(0);
    assert_eq!((pushed(&ended).len(), warnings(&ended)), (0, String::new()));
}

/// Every line of either side is there once, and every commit of this side is in
/// a history that is straight along its first parents.
fn assert_nothing_lost(project: &Project, remote: &Remote, theirs: &[String]) {
    remote.git(&["fsck", "--strict", "--no-dangling"]);
    project.git(&["fsck", "--strict", "--no-dangling"]);
    let shown = |path: &str| remote.git(&["show", &format!("main:{path}")]);
    let lines: Vec<String> = shown("shared.txt").lines().map(str::to_owned).collect();
    assert_eq!(lines[..2], ["the first line", "line 2"]);
    for name in theirs {
        assert_eq!(&shown(&format!("{name}.txt")), name);
        let count = lines.iter().filter(|line| *line == name).count();
        assert_eq!(count, usize::from(name.starts_with("busy")), "{name}");
    }
    let busy = theirs.iter().filter(|name| name.starts_with("busy")).count();
    assert_eq!(lines.len(), 20 + busy);
    for (file, text) in [("b.txt", "b"), ("c.txt", "c"), ("d.txt", "d")] {
        assert_eq!(shown(file), text);
    }
    let log = remote.git(&["log", "--format=%s", "main"]);
    for title in ["Write b", "Write c", "Write d", "Change the first line"] {
        assert_eq!(log.lines().filter(|line| *line == title).count(), 1, "{title}");
    }
    let run = project.git(&["for-each-ref", "--format=%(refname)", "refs/code-agent/runs"]);
    let straight = project.git(&["log", "--first-parent", "--format=%an", &run]);
    let (begin, host) = straight.lines().partition::<Vec<_>, _>(|name| *name == "Tester");
    assert!(begin.len() == 1 && host.len() <= 6, "4 tasks and a merge each cycle: {straight}");
    assert!(host.iter().all(|name| *name == "code-agent"), "{straight}");
    assert_eq!(project.git(&["rev-parse", "main"]), project.git(&["rev-parse", &run]));
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    project.git(&["merge-base", "--is-ancestor", "main", "origin/main"]);
    assert!(!project.git(&["for-each-ref"]).contains("fetched"), "it is merged");
}

#[test]
fn over_http_beside_a_client_that_always_comes_first_nothing_is_lost() {
    let project = project();
    let remote = Remote::of(&project);
    let rival = Other::of(&remote, &project, "rival");
    let gate = Arc::new(Gate::default());
    // The rival comes when a push was told where the branch stands and is on its
    // way, three times; the busy one has pushed before each push that it is not kept
    // from, and takes breath at every fourth one.
    let (rivals, asked) = (Arc::new(Mutex::new(0)), Mutex::new(0));
    let (breath, came) = (gate.clone(), rivals.clone());
    let server = HttpServer::start(&remote, move |step| match step {
        Step::Asks => {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            breath.wait_for_one();
            if *asked % 4 == 3 {
                breath.close();
            }
        }
        Step::Comes => {
            let mut came = came.lock().unwrap();
            if *came < 3 {
                *came += 1;
                rival.push(&format!("rival-{came}"));
            }
        }
        Step::Ends => breath.open(),
    });
    project.git(&["remote", "set-url", "origin", &server.url(&remote)]);
    let same_way = HttpServer::start(&remote, |_| ());
    let busy = Other::of(&remote, &project, "busy").over(&same_way.url(&remote));
    let busy = busy.keep_pushing(gate.clone());
    let ended = run_it(&project, two_cycles(), &[]);
    gate.open();
    let busy = busy.stop();
    let ended = ended.expect_code(0);
    let pushed = pushed(&ended);
    assert!(pushed.iter().all(|event| event["merged"] == true), "{pushed:?}");
    assert_eq!(pushed.len(), 2, "{}", warnings(&ended));
    assert!(busy > 0, "it pushed beside the run");
    let rivals = *rivals.lock().unwrap();
    assert_eq!(rivals, 3);
    let mut theirs: Vec<String> = (1..=rivals).map(|number| format!("rival-{number}")).collect();
    theirs.extend((1..=busy).map(|number| format!("busy-{number}")));
    assert_nothing_lost(&project, &remote, &theirs);
    let said = ended.stdout + &ended.stderr;
    assert!(!said.contains("secret-in-url"), "{said}");
}

#[test]
fn over_file_beside_a_client_that_pushes_in_the_middle_of_a_push_nothing_is_lost() {
    let project = project();
    let remote = Remote::of(&project);
    Other::of(&remote, &project, "rival");
    // The remote has all objects and is about to move the branch when the rival
    // comes, twice.
    let counter = project.beside("counter");
    let rival = project.beside("rival");
    remote.hook(
        "pre-receive",
        &format!(
            "test -n \"$RIVAL\" && exit 0
             number=$(cat {counter} 2>/dev/null || echo 0); number=$((number + 1))
             test $number -le 2 || exit 0
             echo $number > {counter}
             cd {rival} && name=rival-$number
             git() {{ env -i PATH=\"$PATH\" RIVAL=yes GIT_CONFIG_GLOBAL=/dev/null git \
                      -c user.name=Rival -c user.email=rival@example.com \"$@\"; }}
             git pull --quiet --rebase origin main || exit 1
             printf %s $name > $name.txt
             git add --all && git commit --quiet --message $name && git push --quiet origin HEAD:main",
            counter = counter.display(),
            rival = rival.display(),
        ),
    );
    let ended = run_it(&project, two_cycles(), &[]).expect_code(0);
    let pushed = pushed(&ended);
    assert_eq!(pushed.len(), 2, "{}", warnings(&ended));
    assert_eq!((&pushed[0]["merged"], &pushed[1]["merged"]), (&true.into(), &false.into()));
    assert_nothing_lost(&project, &remote, &["rival-1".into(), "rival-2".into()]);
}

#[test]
fn a_branch_behind_origin_is_said_and_its_commits_come_in() {
    let project = project();
    let remote = Remote::of(&project);
    Other::of(&remote, &project, "other").push("early");
    project.git(&["fetch", "--quiet", "origin"]);
    let ended = run_it(&project, one_cycle(), &[]).expect_code(0);
    let said = warnings(&ended);
    assert!(said.contains("lacks 1 commits") && said.contains("git pull"), "{said}");
    assert_eq!(project.read("early.txt"), "early");
    assert_eq!(remote.git(&["rev-parse", "main"]), project.git(&["rev-parse", "main"]));
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_conflict_with_the_remote_stops_the_run_and_the_named_commands_go_on() {
    let project = project();
    let remote = Remote::of(&project);
    let other = Other::of(&remote, &project, "other");
    other.commit("b", "their b\n");
    assert!(other.tries(&["push", "--quiet", "origin", "HEAD:main"]));
    let ended = run_it(&project, one_cycle(), &[]).expect_code(1);
    assert!(ended.stderr.contains("b.txt"), "{}", ended.stderr);
    let theirs = remote.git(&["rev-parse", "main"]);
    assert_eq!(project.read("b.txt"), "b\n", "the branch has the work");
    // As the sentence says.
    let (_, commands) = ended.stderr.trim().split_once("go on: ").unwrap();
    let (merge, go_on) = commands.split_once(" (mend, git commit), then ").unwrap();
    for command in merge.split(" && ") {
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        match arguments.iter().any(|argument| argument.contains("fetched")) {
            true => assert!(!project.tries(&arguments)),
            false => drop(project.git(&arguments)),
        }
    }
    project.write(&[("b.txt", "both\n")]);
    project.git(&["commit", "--quiet", "--all", "--message", "Both"]);
    let run_id = go_on.strip_prefix("code-agent resume ").unwrap();
    let server = ModelServer::start(one_cycle()).unwrap();
    run(resume(&project).arg(run_id).args(model(&server))).expect_code(0);
    let main = project.git(&["rev-parse", "main"]);
    assert_eq!(remote.git(&["rev-parse", "main"]), main);
    remote.git(&["merge-base", "--is-ancestor", &theirs, "main"]);
    assert_eq!((project.read("b.txt"), project.read("c.txt")), ("both\n".into(), "c\n".into()));
    assert!(!project.git(&["for-each-ref"]).contains("fetched"));
}

#[test]
fn a_push_that_can_not_be_is_a_warning_with_gits_words() {
    let project = project();
    let remote = Remote::of(&project);
    let before = remote.git(&["rev-parse", "main"]);
    remote.hook("pre-receive", "echo 'the moon is wrong'; exit 1");
    let ended = run_it(&project, one_cycle(), &[]).expect_code(0);
    assert!(warnings(&ended).contains("the moon is wrong"), "{}", warnings(&ended));
    assert_eq!(remote.git(&["rev-parse", "main"]), before);
    assert_eq!(project.read("b.txt"), "b\n");

    let project = self::project();
    project.git(&["remote", "add", "origin", "https://me:hidden@127.0.0.1:1/nothing.git"]);
    let ended = run_it(&project, one_cycle(), &[]).expect_code(0);
    let said = warnings(&ended);
    assert!(said.contains("was not pushed") && said.contains("127.0.0.1"), "{said}");
    assert!(!ended.stdout.contains("hidden") && !ended.stderr.contains("hidden"), "{said}");
}

#[test]
fn a_dirty_tree_is_left_alone_and_the_work_is_pushed_all_the_same() {
    let project = project();
    let remote = Remote::of(&project);
    let script = b_and_c();
    let before = project.git(&["rev-parse", "main"]);
    let dirty = project.path().join("a.txt");
    let server = ModelServer::start(script).unwrap();
    let mut command = code_agent(&project);
    // The check runs while the tree is still to be looked at.
    command.args(["--goal", "Write", "--json", "--unsandboxed-commands", "--check"]);
    command.arg(format!("echo mine > {}", dirty.display())).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert_eq!(project.git(&["rev-parse", "main"]), before);
    assert_eq!(project.read("a.txt"), "mine\n");
    assert_eq!(pushed(&ended).len(), 1);
    assert_eq!(remote.git(&["show", "main:b.txt"]), "b");
    project.git(&["merge-base", "--is-ancestor", "main", "origin/main"]);
}

#[test]
fn credential_helpers_of_the_user_are_asked_and_nobody_else_is() {
    let project = project();
    let remote = Remote::of(&project);
    // `me:known-to-the-helper`, as HTTP writes it.
    let server = HttpServer::start_guarded(&remote, "Basic bWU6a25vd24tdG8tdGhlLWhlbHBlcg==");
    project.git(&["remote", "set-url", "origin", &server.plain_url(&remote)]);
    let ended = run_it(&project, one_cycle(), &[]).expect_code(0);
    let said = warnings(&ended);
    assert!(said.contains("was not pushed") && said.contains("could not read Username"), "{said}");
    let helper = "!printf 'username=me\\npassword=known-to-the-helper\\n'; echo >/dev/null";
    project.git(&["config", "credential.helper", helper]);
    project.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    let ended = run_it(&project, one_cycle(), &[]).expect_code(0);
    assert_eq!(pushed(&ended).len(), 1, "{}", warnings(&ended));
    assert_eq!(remote.git(&["show", "main:b.txt"]), "b");
    assert!(!(ended.stdout + &ended.stderr).contains("known-to-the-helper"));
}

#[test]
fn ssh_asks_nobody_unless_the_user_has_said_how_it_is_started() {
    let project = project();
    let said = project.beside("said");
    let script =
        format!("#!/bin/sh\necho \"$0 $@ key:$OPENAI_API_KEY\" >> {}\nexit 1\n", said.display());
    for name in ["ssh", "their-ssh"] {
        let path = project.beside(name);
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    project.git(&["remote", "add", "origin", "ssh://nobody@nowhere.invalid/x.git"]);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", project.beside("").display());
    let go = || {
        fs::remove_file(&said).ok();
        project.git(&["reset", "--quiet", "--hard", "main"]);
        let server = ModelServer::start(one_cycle()).unwrap();
        let mut command = code_agent(&project);
        command.args(["--goal", "Write", "--json"]).args(model(&server)).env("PATH", &path);
        let ended = run(&mut command).expect_code(0);
        assert!(warnings(&ended).contains("was not pushed"));
        project.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
        fs::read_to_string(&said).unwrap()
    };
    let said_first = go();
    assert!(
        said_first.contains("/ssh -o BatchMode=yes") && said_first.contains("key:\n"),
        "{said_first}"
    );
    let theirs = project.beside("their-ssh").display().to_string();
    project.git(&["config", "core.sshCommand", &theirs]);
    let said_then = go();
    assert!(said_then.contains("their-ssh") && !said_then.contains("BatchMode"), "{said_then}");
}

#[test]
fn a_host_that_dies_when_it_has_pushed_loses_and_doubles_nothing() {
    let project = project();
    let remote = Remote::of(&project);
    Other::of(&remote, &project, "other").push("theirs");
    let server = ModelServer::start(two_cycles()).unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-cycles", "2"]).args(model(&server));
    let died = run(command.env("CODE_AGENT_CRASH_AT", "publish: pushed"));
    assert!(died.signal.is_some(), "{}", died.stderr);
    assert_eq!(remote.git(&["show", "main:b.txt"]), "b", "it was pushed");
    run(resume(&project).args(model(&server))).expect_code(0);
    let main = project.git(&["rev-parse", "main"]);
    assert_eq!(remote.git(&["rev-parse", "main"]), main);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert_nothing_lost(&project, &remote, &["theirs".into()]);
}
