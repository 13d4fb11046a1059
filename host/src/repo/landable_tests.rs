//! Which of a checkout's changes may land: what tools wrote, what is wanted, how
//! much, and no new keys.

use std::fs;
use std::path::PathBuf;

use super::super::checkouts::Checkouts;
use super::super::testing::{Sandbox, path, removed, written};
use super::*;

fn checkout(sandbox: &Sandbox) -> (Checkout, PathBuf) {
    let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
    let checkout = checkouts.open("slot-1").unwrap();
    checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
    let folder = checkout.folder().path().to_owned();
    (checkout, folder)
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn told(changes: &Changes) -> Vec<String> {
    changes.left_out.iter().map(ToString::to_string).collect()
}

#[test]
fn new_files_land_where_a_tool_wrote_them_or_somebody_wants_them() {
    let sandbox = Sandbox::with(&[("a", "1\n"), ("b", "1\n"), ("src/x", "x\n")]);
    let (checkout, folder) = checkout(&sandbox);
    checkout.note(&path("new"));
    write(&folder, "new", "n\n");
    for at in ["src", "lib"] {
        checkout.note(&path(at));
    }
    fs::rename(folder.join("src"), folder.join("lib")).unwrap();
    checkout.folder_for_command(false);
    write(&folder, "new", "by a command\n");
    write(&folder, "a", "2\n");
    fs::remove_file(folder.join("b")).unwrap();
    for junk in ["lib/__pycache__/x", "src/__pycache__/x", "target/d/1", "target/2", "log"] {
        write(&folder, junk, "junk\n");
    }
    write(&folder, "wanted", "w\n");
    let changes = checkout.changes(|at| at.as_str() == "wanted").unwrap();
    let expected = vec![
        written("a", "2\n"),
        removed("b"),
        written("lib/x", "x\n"),
        written("new", "by a command\n"),
        removed("src/x"),
        written("wanted", "w\n"),
    ];
    assert_eq!(changes.changes, expected);
    let left_out = [
        "`lib/__pycache__/` (1 file)",
        "`log`",
        "`src/__pycache__/` (1 file)",
        "`target/` (2 files)",
    ];
    assert_eq!(told(&changes), left_out);
    checkout.reset(&checkout.base()).unwrap();
    checkout.folder_for_command(false);
    write(&folder, "new", "n\n");
    let changes = checkout.changes(|_| false).unwrap();
    assert_eq!(told(&changes), ["`new`"], "what a tool wrote before a reset no longer counts");
    assert_eq!(changes.changes, []);
}

#[test]
fn what_a_tool_wrote_or_somebody_named_and_a_gitignore_covers_is_told() {
    let sandbox = Sandbox::with(&[(".gitignore", "build\n*.o\n"), ("a", "1\n"), ("src/x", "x\n")]);
    let (checkout, folder) = checkout(&sandbox);
    write(&folder, "build/cache/left", "of a task before\n");
    write(&folder, "src/x.o", "the same\n");
    for at in ["build/run.sh", "b", "gone.o", "src", "build/src"] {
        checkout.note(&path(at));
    }
    write(&folder, "build/run.sh", "r\n");
    write(&folder, "b", "2\n");
    fs::rename(folder.join("src"), folder.join("build/src")).unwrap();
    let nobody = |_: &CheckoutPath| false;
    let changes = checkout.changes(nobody).unwrap();
    assert_eq!(changes.changes, [written("b", "2\n"), removed("src/x")]);
    assert_eq!(told(&changes), ["`build/` (3 files; a .gitignore names them)"]);
    // It is told again where it did not land in the middle of a task.
    checkout.follow(&checkout.base()).unwrap();
    assert_eq!(told(&checkout.changes(nobody).unwrap()), told(&changes));
    checkout.reset(&checkout.base()).unwrap();
    assert_eq!(checkout.changes(nobody).unwrap(), Changes::default());
    let named = |names: &[&str]| {
        let names: Vec<CheckoutPath> = names.iter().map(|name| path(name)).collect();
        told(&checkout.changes_with(&names, |_| true).unwrap())
    };
    assert_eq!(named(&["build/run.sh"]), ["`build/run.sh` (a .gitignore names it)"]);
    assert_eq!(named(&["build"]), ["`build/` (4 files; a .gitignore names them)"]);
    write(&folder, "src/y.o", "o\n");
    assert_eq!(named(&["src", "a", "none.o"]), [""; 0], "others' caches are in it");
}

#[test]
fn what_did_not_land_in_the_middle_of_a_task_stays_until_its_end() {
    let sandbox = Sandbox::with(&[("a", "1\n"), ("d/x", "x\n")]);
    let (checkout, folder) = checkout(&sandbox);
    let base = checkout.base();
    checkout.folder_for_command(false);
    for junk in ["junk", "new/junk", "d/junk", "f"] {
        write(&folder, junk, "junk\n");
    }
    let next = sandbox.commit_beside("refs/heads/next", &[("a", "2\n"), ("f", "of the commit\n")]);
    checkout.follow(&next).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!((read("a"), read("f")), ("2\n".into(), "of the commit\n".into()));
    assert_eq!(
        told(&checkout.changes(|_| false).unwrap()),
        ["`d/junk`", "`junk`", "`new/` (1 file)"]
    );
    checkout.reset(&base).unwrap();
    assert_eq!(checkout.changes(|_| false).unwrap(), Changes::default());
    assert!(!folder.join("new").exists() && !folder.join("d/junk").exists());
}

#[test]
fn a_landing_holds_so_many_files_and_no_more() {
    let sandbox = Sandbox::with(&[("a", "1\n")]);
    let (checkout, folder) = checkout(&sandbox);
    checkout.folder_for_command(false);
    fs::create_dir(folder.join("many")).unwrap();
    for number in 0..MOST_FILES {
        fs::write(folder.join(format!("many/{number}")), "").unwrap();
    }
    assert_eq!(checkout.changes(|_| true).unwrap().changes.len(), MOST_FILES);
    fs::write(folder.join("one-more"), "").unwrap();
    let error = checkout.changes(|_| true).unwrap_err();
    assert!(matches!(error, CallError::TooLong(_)), "{error}");
    assert!(error.to_string().contains("10001 files are new or changed"), "{error}");
    assert!(checkout.diff("", None).is_ok(), "looking at them is another matter");
    let changes = checkout.changes(|_| false).unwrap();
    assert_eq!(told(&changes), ["`many/` (10000 files)", "`one-more`"]);
}

#[test]
fn only_keys_that_the_base_does_not_have_are_new() {
    let key = |last: &str| format!("key = ghp_{}{last}\n", "a1b2c3".repeat(6));
    let pem =
        |body: &str| format!("-----BEGIN {0}-----\n{body}\n-----END {0}-----\n", "PRIVATE KEY");
    let (old, other) = (key("Old"), key("New"));
    let held = format!("{}{old}text\n{}", old.repeat(50), pem("MIIEold"));
    let sandbox = Sandbox::with(&[("held", &held), ("moved", &old), ("plain", "text\n")]);
    let (checkout, folder) = checkout(&sandbox);
    checkout.folder_for_command(true);
    let new = || {
        let changes = checkout.changes(|_| true).unwrap();
        let keys = checkout.new_keys(&changes).unwrap();
        keys.into_iter().map(|key| (key.path.to_string(), key.line)).collect::<Vec<_>>()
    };
    write(&folder, "held", &format!("more\r\n{}", held.replace('\n', "\r\n")));
    fs::rename(folder.join("moved"), folder.join("elsewhere")).unwrap();
    assert_eq!(new(), [], "what is there already, and what moves, keeps nobody from landing");
    write(&folder, "moved", &old);
    assert_eq!(new(), [("elsewhere".to_owned(), 1)], "a copy is new");
    write(&folder, "elsewhere", "text\n");
    write(&folder, "held", &format!("{}{other}{}", old.repeat(50), pem("MIIEnew")));
    assert_eq!(new(), [("held".to_owned(), 51), ("held".to_owned(), 52)]);
}
