//! What a push comes to, against a bare repository beside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::landing::{Lander, LandingRecord};
use super::super::shared::is_shared;
use super::super::testing::{Sandbox, land, landing, run_git, written};
use super::*;

/// A run with one commit that is to be pushed, and its remote.
fn to_push(sandbox: &Sandbox) -> (Repository, PathBuf) {
    let remote = sandbox.top().with_file_name("remote.git");
    sandbox.git(&["clone", "--quiet", "--bare", ".", remote.to_str().unwrap()]);
    sandbox.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    let repository = sandbox.open();
    let base = repository.begin("r1").unwrap();
    let lander = Lander::start(&repository, "r1", |_: &[LandingRecord]| Ok(())).unwrap();
    land(&lander, landing("l1", &base, vec![written("b", "b\n")])).unwrap();
    (repository, remote)
}

#[test]
fn what_others_have_built_on_was_not_pushed_just_now() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    let tip = repository.tip("r1").unwrap();
    sandbox.git(&["push", "--quiet", "origin", &format!("{tip}:main")]);
    assert_eq!(
        repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap(),
        Published::UpToDate
    );
    let who = ["-c", "user.name=x", "-c", "user.email=x"];
    let on_top = ["commit-tree", "-m", "on top", "-p", "main", "main^{tree}"];
    let theirs = run_git(&remote, &[&who[..], &on_top].concat());
    run_git(&remote, &["update-ref", "refs/heads/main", &theirs]);
    assert_eq!(
        repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap(),
        Published::UpToDate
    );
    assert_eq!(run_git(&remote, &["rev-parse", "main"]), theirs);
}

#[test]
fn all_tries_together_have_one_bound() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    let before = repository.tip("r1").unwrap();
    // Somebody comes first each time, and slowly: all tries would take long.
    hook(&remote, "pre-receive", &format!("echo >> tries; sleep 0.1; {SOMEBODY_PUSHES}"));
    let bounds = Bounds { until: Instant::now() + Duration::from_secs(3), stopped: &|| false };
    let published = repository.push_and_merge("r1", 0, Merges::Pushed, &bounds).unwrap();
    let Published::NotPushed { why } = published else { panic!("{published:?}") };
    assert!(why.contains("before each try for") || why.contains("git was ended"), "{why}");
    let tries = tries(&remote);
    assert!(tries < TRIES, "{tries}");
    assert_eq!(repository.tip("r1").unwrap(), before);
}

/// Somebody else's commit comes to the remote, by a line of a hook.
const SOMEBODY_PUSHES: &str = "git() { env -i PATH=\"$PATH\" git -c user.name=x -c user.email=x \"$@\"; }; \
    git update-ref refs/heads/main $(git commit-tree -m first -p main 'main^{tree}')";

/// How often a hook has left a line, which it may not have come to.
fn tries(remote: &Path) -> u32 {
    let lines = fs::read_to_string(remote.join("tries")).unwrap_or_default();
    lines.lines().count().try_into().unwrap()
}

/// A program in the remote's folder of hooks. It is written by a process of its own:
/// nobody can run a file that another test's thread is just about to fork off open.
fn hook(remote: &Path, name: &str, script: &str) {
    let path = remote.join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod +x \"$0\"";
    let written = Command::new("sh").args(["-c", write]).arg(path).arg(script).status();
    assert!(written.unwrap().success());
}

/// What a remote may have of the run, as far as is known.
fn noted(repository: &Repository) -> Option<String> {
    let noted = repository.pushed(&repository.git().unwrap(), "r1").unwrap();
    noted.map(|commit| commit.to_string())
}

#[test]
fn what_git_was_ended_in_may_be_there() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    let tip = repository.tip("r1").unwrap();
    // The branch has moved, and something that is started then takes its time.
    hook(&remote, "post-receive", "echo > ../came; exec sleep 3600");
    // How long it takes to get there is the machine's business.
    for seconds in [2, 8, 32, 128] {
        let until = Instant::now() + Duration::from_secs(seconds);
        let bounds = Bounds { until, stopped: &|| false };
        let published = repository.publish_within("r1", 0, Merges::Pushed, &bounds).unwrap();
        let Published::NotPushed { why } = published else { panic!("{published:?}") };
        if run_git(&remote, &["rev-parse", "main"]) == tip {
            assert!(why.contains("git was ended"), "{why}");
            break;
        }
    }
    assert_eq!(noted(&repository), Some(tip.clone()));
    let git = repository.git().unwrap();
    assert!(is_shared(&git, commit_id(&tip).unwrap()).unwrap());
}

#[test]
fn what_broke_off_and_can_not_be_looked_at_may_be_there() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    let tip = repository.tip("r1").unwrap();
    // The remote is gone as soon as its branch has moved.
    let gone = remote.with_file_name("gone");
    let goes = format!("test $1 = committed && touch {} && kill -KILL $PPID", gone.display());
    hook(&remote, "reference-transaction", &format!("{goes}\nexit 0"));
    hook(
        &remote,
        "upload-pack",
        &format!("test -e {} || exec git-upload-pack \"$@\"", gone.display()),
    );
    let script = remote.join("hooks/upload-pack");
    sandbox.git(&["config", "remote.origin.uploadpack", script.to_str().unwrap()]);
    let published = repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap();
    assert!(matches!(published, Published::NotPushed { .. }), "{published:?}");
    assert_eq!(run_git(&remote, &["rev-parse", "main"]), tip);
    assert_eq!(noted(&repository), Some(tip));
}

#[test]
fn what_got_there_is_noted_even_where_the_run_can_not_follow() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    let base = sandbox.git(&["rev-parse", "main"]);
    let theirs = sandbox.commit_beside("refs/heads/theirs", &[("c", "c\n")]);
    sandbox.git(&["push", "--quiet", "origin", "theirs:main"]);
    let moves = format!(
        "env -i PATH=\"$PATH\" git -C {} update-ref refs/code-agent/runs/r1 {base}",
        sandbox.top().display()
    );
    hook(&remote, "post-receive", &moves);
    let error = repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap_err();
    assert!(error.to_string().contains("moved by somebody else"), "{error}");
    let pushed = run_git(&remote, &["rev-parse", "main"]);
    assert_ne!(pushed, theirs);
    assert_eq!(noted(&repository), Some(pushed));
}

#[test]
fn a_branch_that_is_locked_for_a_moment_is_pushed_to_all_the_same() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    // Somebody else has locked the branch and moves it once ours was refused for
    // that and has looked where the branch stands.
    let script = format!(
        "echo >> tries; lock=refs/heads/main.lock
         case $(wc -l < tries) in
         1) : > $lock;;
         2) rm $lock; {SOMEBODY_PUSHES};;
         esac"
    );
    hook(&remote, "update", &script);
    let published = repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap();
    let tip = repository.tip("r1").unwrap();
    assert_eq!(published, Published::Pushed { commit: tip.clone() });
    assert_eq!(run_git(&remote, &["rev-parse", "main"]), tip);
    assert_eq!(run_git(&remote, &["log", "--format=%s", "-1", "main^2"]), "first");
    assert_eq!(tries(&remote), 3, "refused for the lock, for theirs, and not any more");
}

#[test]
fn a_remote_that_always_refuses_is_not_asked_for_ever() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    hook(&remote, "update", "echo >> tries; echo not on a Sunday; exit 1");
    let published = repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap();
    let Published::NotPushed { why } = published else { panic!("{published:?}") };
    assert!(why.contains("not on a Sunday"), "{why}");
    assert_eq!(tries(&remote), REFUSALS);
    assert_eq!(noted(&repository), None);
    // Nor so often, where somebody wishes it to stop.
    let refused = || tries(&remote) > REFUSALS;
    let published = repository.publish("r1", 0, Merges::Pushed, &refused).unwrap();
    assert_eq!(published, Published::Stopped);
    assert_eq!(tries(&remote), REFUSALS + 1);
}

#[test]
fn what_is_known_not_to_be_there_is_nobody_elses() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (repository, remote) = to_push(&sandbox);
    let not_pushed = || {
        let published = repository.publish("r1", 0, Merges::Pushed, &|| false).unwrap();
        assert!(matches!(published, Published::NotPushed { .. }), "{published:?}");
        assert_eq!(noted(&repository), None);
    };
    hook(&remote, "pre-receive", "exit 1");
    not_pushed();
    // It has no branch of that name at all.
    run_git(&remote, &["update-ref", "-d", "refs/heads/main"]);
    not_pushed();
    sandbox.git(&["remote", "set-url", "origin", "/nowhere"]);
    not_pushed();
}
