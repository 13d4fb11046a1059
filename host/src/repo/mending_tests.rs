//! Half moves of all kinds, made with git's own commands.

use super::super::commit_id;
use super::super::open::Repository;
use super::super::testing::Sandbox;
use super::*;

/// A commit beside `main` that has these changes, and a mark that the working tree
/// was on its way to it.
fn on_the_way(sandbox: &Sandbox, change: impl Fn()) -> (Repository, String) {
    let repository = sandbox.open();
    repository.begin("r1").unwrap();
    sandbox.git(&["switch", "--quiet", "--create", "side"]);
    change();
    sandbox.git(&["commit", "--quiet", "--allow-empty", "--message", "side"]);
    let to = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["switch", "--quiet", "main"]);
    repository.moving(&repository.git().unwrap(), "r1", commit_id(&to).unwrap()).unwrap();
    (repository, to)
}

fn status(sandbox: &Sandbox) -> String {
    sandbox.git(&["status", "--porcelain"])
}

#[test]
fn files_and_folders_that_took_each_others_places_come_back() {
    let sandbox = Sandbox::with(&[("f", "f\n"), ("d/x", "x\n"), ("d/in/y", "y\n"), ("z", "z\n")]);
    let top = sandbox.top();
    let (repository, to) = on_the_way(&sandbox, || {
        fs::remove_file(top.join("f")).unwrap();
        sandbox.write("f/a/b", "b\n");
        fs::remove_dir_all(top.join("d")).unwrap();
        sandbox.write("d", "d\n");
        sandbox.git(&["add", "--all"]);
    });
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    assert_ne!(status(&sandbox), "");
    repository.recover("r1").unwrap();
    assert_eq!(status(&sandbox), "");
    assert_eq!((sandbox.read("f"), sandbox.read("d/in/y")), ("f\n".into(), "y\n".into()));
    assert!(!sandbox.git(&["for-each-ref"]).contains("moving"));
}

#[test]
fn submodules_that_came_moved_or_took_a_files_place_go_back() {
    let sandbox = Sandbox::with(&[("f", "f\n")]);
    let commit = |nibble: &str| nibble.repeat(40);
    let submodule = |name: &str, at: &str| {
        sandbox.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{at},{name}")]);
        fs::create_dir_all(sandbox.top().join(name)).unwrap();
    };
    submodule("moves", &commit("1"));
    submodule("goes", &commit("3"));
    sandbox.git(&["commit", "--quiet", "--message", "submodules"]);
    let (repository, to) = on_the_way(&sandbox, || {
        submodule("moves", &commit("2"));
        sandbox.git(&["rm", "--quiet", "--cached", "goes"]);
        submodule("comes", &commit("4"));
        sandbox.git(&["rm", "--quiet", "f"]);
        submodule("f", &commit("5"));
    });
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    assert_ne!(status(&sandbox), "");
    repository.recover("r1").unwrap();
    assert_eq!(status(&sandbox), "");
    assert_eq!(sandbox.read("f"), "f\n");
}

#[test]
fn what_lies_behind_a_link_is_another_file() {
    let sandbox = Sandbox::with(&[("real/a.md", "same\n")]);
    let link = sandbox.top().join("docs");
    std::os::unix::fs::symlink("real", &link).unwrap();
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "link"]);
    let (repository, to) = on_the_way(&sandbox, || {
        fs::remove_file(&link).unwrap();
        sandbox.write("docs/a.md", "same\n");
        sandbox.git(&["add", "--all"]);
    });
    // The host died before it came to the link.
    repository.recover("r1").unwrap();
    assert_eq!((status(&sandbox), sandbox.read("real/a.md")), (String::new(), "same\n".into()));
    // And after it.
    repository.moving(&repository.git().unwrap(), "r1", commit_id(&to).unwrap()).unwrap();
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    repository.recover("r1").unwrap();
    assert_eq!(status(&sandbox), "");
    assert!(link.is_symlink());
}

#[test]
fn a_persons_files_that_took_a_place_since_stay() {
    let sandbox = Sandbox::with(&[("f", "f\n"), ("d/x", "x\n"), ("other", "o\n")]);
    let (repository, to) = on_the_way(&sandbox, || {
        fs::remove_file(sandbox.top().join("f")).unwrap();
        sandbox.write("f/a", "a\n");
        sandbox.write("other", "changed\n");
        sandbox.git(&["rm", "--quiet", "d/x"]);
        sandbox.git(&["add", "--all"]);
    });
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    sandbox.write("f/mine", "mine\n");
    sandbox.write("d", "mine, too\n");
    let error = repository.recover("r1").unwrap_err().to_string();
    assert!(error.contains("(d/x, f)"), "{error}");
    assert_eq!(
        (sandbox.read("f/mine"), sandbox.read("d")),
        ("mine\n".into(), "mine, too\n".into())
    );
    assert_eq!(sandbox.read("other"), "o\n", "the rest went back");
    assert!(!sandbox.top().join("f/a").exists());
}

#[test]
fn an_index_that_somebody_has_locked_is_not_unlocked_and_the_mark_stays() {
    let sandbox = Sandbox::with(&[("a", "a\n")]);
    let (repository, to) = on_the_way(&sandbox, || {
        sandbox.write("a", "changed\n");
        sandbox.git(&["add", "--all"]);
    });
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    let lock = sandbox.top().join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    let holder = Holder { top: sandbox.top().to_owned() };
    let error = take_back_now(&holder, commit_id(&to).unwrap()).unwrap_err().to_string();
    assert!(lock.exists() && error.contains("index.lock"), "{error}");
    fs::remove_file(lock).unwrap();
    // Whoever starts another run is told what to do.
    let refused = Repository::open(sandbox.top(), "main", true).unwrap_err();
    assert!(refused.to_string().contains("code-agent resume r1"), "{refused}");
    repository.recover("r1").unwrap();
    assert_eq!(status(&sandbox), "");
}

#[test]
fn what_git_writes_otherwise_than_it_keeps_it_goes_back_too() {
    let attributes = "*.txt text eol=crlf\n*.id ident\n";
    let files =
        [(".gitattributes", attributes), ("a.txt", "1\n2\n"), ("b.id", "$Id$\n"), ("g", "")];
    // Whole, the beginning of a file, and what ends between the two bytes of a line's end.
    for found in [None, Some("1\r\ntw"), Some("1\r\ntwo\r")] {
        let sandbox = Sandbox::with(&files);
        let (repository, to) = on_the_way(&sandbox, || {
            sandbox.write("a.txt", "1\r\ntwo\r\nmore\r\n");
            sandbox.write("b.id", "$Id$\nmore\n");
            sandbox.write("c.txt", "c\r\n");
            sandbox.git(&["rm", "--quiet", "g"]);
            sandbox.git(&["add", "--all"]);
        });
        match found {
            None => drop(sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to])),
            Some(found) => sandbox.write("a.txt", found),
        }
        assert_ne!(status(&sandbox), "");
        repository.recover("r1").unwrap();
        assert_eq!(status(&sandbox), "", "{found:?}");
        assert_eq!(sandbox.read("a.txt"), "1\r\n2\r\n");
        assert!(sandbox.top().join("g").exists() && !sandbox.top().join("c.txt").exists());
    }
}

#[test]
fn attributes_that_the_move_changed_count_as_they_were() {
    let sandbox =
        Sandbox::with(&[(".gitattributes", "*.md text\n"), ("a.txt", "1\n"), ("b", "1\n")]);
    let (repository, to) = on_the_way(&sandbox, || {
        sandbox.write(".gitattributes", "*.txt text eol=crlf\n");
        sandbox.write("a.txt", "two\n");
        sandbox.git(&["add", "--all"]);
    });
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    assert_eq!(sandbox.read("a.txt"), "two\r\n");
    repository.recover("r1").unwrap();
    assert_eq!((status(&sandbox), sandbox.read("a.txt")), (String::new(), "1\n".into()));
}

#[test]
fn what_stays_of_a_move_keeps_its_mark_until_a_person_has_mended_it() {
    let sandbox = Sandbox::with(&[("a", "a\n"), ("b", "b\n"), ("gone", "g\n")]);
    let (repository, to) = on_the_way(&sandbox, || {
        sandbox.write("a", "changed\n");
        sandbox.git(&["rm", "--quiet", "gone"]);
        sandbox.git(&["add", "--all"]);
    });
    sandbox.git(&["read-tree", "-u", "-m", "HEAD", &to]);
    sandbox.write("a", "changed, and mine\n");
    sandbox.write("b", "mine\n");
    let error = repository.recover("r1").unwrap_err().to_string();
    assert!(error.contains("(a)") && error.contains("`code-agent resume`"), "{error}");
    assert!(sandbox.git(&["for-each-ref"]).contains("moving"));
    assert_eq!(
        (sandbox.read("a"), sandbox.read("gone")),
        ("changed, and mine\n".into(), "g\n".into())
    );
    sandbox.git(&["checkout", "--quiet", "HEAD", "--", "a"]);
    repository.recover("r1").unwrap();
    assert!(!sandbox.git(&["for-each-ref"]).contains("moving"));
    assert_eq!(status(&sandbox), " M b", "that was never the move's");
}
