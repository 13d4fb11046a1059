//! Layouts of merges that collide, kind by kind, as somebody finds them in a
//! checkout.

use super::super::checkouts::Checkouts;
use super::super::testing::{Sandbox, path, removed, written};
use super::*;

/// A branch that has gone on by these files, and a worker that started before.
struct Sides {
    sandbox: Sandbox,
    repository: Repository,
    base: String,
    tip: String,
}

fn sides(base: &[(&str, &str)], branch: &[(&str, Option<&str>)]) -> Sides {
    let sandbox = Sandbox::with(base);
    let start = sandbox.git(&["rev-parse", "HEAD"]);
    // What goes makes room for what comes.
    for (at, _) in branch.iter().filter(|(_, text)| text.is_none()) {
        sandbox.git(&["rm", "--quiet", at]);
    }
    for (at, text) in branch {
        if let Some(text) = text {
            sandbox.write(at, text);
        }
    }
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "go on"]);
    let tip = sandbox.git(&["rev-parse", "HEAD"]);
    let repository = sandbox.open();
    Sides { sandbox, repository, base: start, tip }
}

impl Sides {
    fn lay_out(&self, changes: &[Change]) -> Option<LaidOut> {
        lay_out(&self.repository, &self.base, changes, &self.tip).unwrap()
    }

    /// The layout, in a checkout on the tip.
    fn checkout(&self, laid: &LaidOut) -> Checkout {
        let checkouts =
            Checkouts::new(self.repository.clone(), "r1", &self.sandbox.cache(), false).unwrap();
        let checkout = checkouts.open("slot-1").unwrap();
        checkout.reset(&self.tip).unwrap();
        checkout.lay(&laid.changes).unwrap();
        checkout
    }
}

fn markers(laid: &LaidOut) -> Vec<(&str, Option<u16>)> {
    laid.collisions.iter().map(|one| (one.path.as_str(), one.markers)).collect()
}

fn text_at<'a>(laid: &'a LaidOut, at: &str) -> &'a str {
    let change = laid.changes.iter().find(|change| change.path.as_str() == at).unwrap();
    let ChangeKind::Written { bytes, .. } = &change.kind else { panic!("{at} is gone") };
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_same_lines_get_markers_and_the_rest_is_there() {
    let base = [("a", "1\n2\n3\n"), ("b", "b\n"), ("gone", "g\n"), ("left", "l\n")];
    let sides = sides(&base, &[("a", Some("1\nx\n3\n")), ("left", Some("new\n"))]);
    let worker = [written("a", "1\ny\n3\n"), written("b", "changed\n"), removed("gone")];
    let objects = sides.sandbox.git(&["count-objects"]);
    let laid = sides.lay_out(&worker).unwrap();
    assert_eq!(sides.sandbox.git(&["count-objects"]), objects, "a layout writes nothing");
    assert_eq!(markers(&laid), [("a", Some(7))]);
    assert_eq!((&*laid.base, &*laid.tip), (&*sides.base, &*sides.tip));
    assert_eq!(laid.commits, [sides.tip.as_str()]);
    assert!(laid.worker_diff.contains("+changed") && laid.worker_diff.contains("+y"));
    assert!(laid.branch_diff.contains("+x") && !laid.branch_diff.contains("+new"));
    let marked = "1\n<<<<<<< the branch\nx\n||||||| what both started from\n2\n=======\ny\n\
                  >>>>>>> the worker\n3\n";
    assert_eq!(text_at(&laid, "a"), marked);
    let checkout = sides.checkout(&laid);
    let mut names: Vec<String> = checkout
        .changes(|_| true)
        .unwrap()
        .changes
        .iter()
        .map(|one| one.path.to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "b", "gone"]);
    assert_eq!(still_marked(&checkout, &laid.collisions, |_| false).unwrap(), ["a"]);
    for (text, is_marked) in [
        ("1\nx\ny\n3\n", false),
        ("1\nx\n=======\r\ny\n3\n", true),
        ("1\n>>>>>>> the worker", true),
        ("1\n======== eight\n", false),
        ("1\n <<<<<<< quoted\n", false),
    ] {
        checkout.lay(&[written("a", text)]).unwrap();
        let found = still_marked(&checkout, &laid.collisions, |_| false).unwrap();
        assert_eq!(!found.is_empty(), is_marked, "{text:?}");
    }
    // Neither can they be moved elsewhere, nor is anybody else's text taken for one.
    checkout.lay(&[removed("a"), written("c", marked)]).unwrap();
    assert_eq!(still_marked(&checkout, &laid.collisions, |_| false).unwrap(), ["c"]);
    let junk = checkout.folder_for_command(false).join("junk");
    std::fs::write(&junk, marked).unwrap();
    let wanted = still_marked(&checkout, &laid.collisions, |_| true).unwrap();
    assert_eq!(wanted, ["c", "junk"]);
    checkout.lay(&[written("c", "Title\n=======\n")]).unwrap();
    assert_eq!(still_marked(&checkout, &laid.collisions, |_| false).unwrap(), Vec::<String>::new());
}

#[test]
fn markers_are_longer_than_what_looks_like_them() {
    let title = |word: &str| format!("Title\n=========\n\n{word}\n");
    let sides = sides(&[("a", &title("one"))], &[("a", Some(&title("two")))]);
    let laid = sides.lay_out(&[written("a", &title("three"))]).unwrap();
    assert_eq!(markers(&laid), [("a", Some(10))]);
    assert!(text_at(&laid, "a").contains("\n<<<<<<<<<< the branch\n"));
    let checkout = sides.checkout(&laid);
    checkout.lay(&[written("a", &title("two and three"))]).unwrap();
    assert_eq!(still_marked(&checkout, &laid.collisions, |_| false).unwrap(), Vec::<String>::new());
    let long = |word: &str| format!("{}\n{word}\n", "=".repeat(120));
    let sides = self::sides(&[("a", &long("one"))], &[("a", Some(&long("two")))]);
    let laid = sides.lay_out(&[written("a", &long("three"))]).unwrap();
    assert_eq!((markers(&laid), laid.changes.len()), (vec![("a", None)], 0));
}

#[test]
fn what_has_no_lines_is_left_as_the_branch_has_it_and_told() {
    let base = [("binary", "\0one"), ("deleted", "one\n"), ("edited", "one\n"), ("link", "one\n")];
    let branch = [
        ("binary", Some("\0two")),
        ("deleted", None),
        ("edited", Some("two\n")),
        ("link", Some("two\n")),
    ];
    let sides = sides(&base, &branch);
    let link = ChangeKind::Written { mode: Mode::Link, bytes: b"edited".to_vec() };
    let worker = [
        written("binary", "\0three"),
        written("deleted", "three\n"),
        removed("edited"),
        Change { path: path("link"), kind: link },
        written("new", "new\n"),
    ];
    let laid = sides.lay_out(&worker).unwrap();
    let all = ["binary", "deleted", "edited", "link"].map(|path| (path, None));
    assert_eq!(markers(&laid), all);
    assert_eq!(laid.changes, [written("new", "new\n")]);
    let told = |at: &str| &laid.collisions.iter().find(|one| one.path == at).unwrap().description;
    assert!(told("binary").contains("can't be merged by lines"));
    assert!(told("deleted").contains("the branch deleted"));
    assert!(told("edited").contains("the worker deleted"));
}

#[test]
fn two_new_files_of_one_name_get_markers() {
    let sides = sides(&[], &[("n", Some("one\n"))]);
    let laid = sides.lay_out(&[written("n", "two\n")]).unwrap();
    assert_eq!(markers(&laid), [("n", Some(7))]);
    assert!(text_at(&laid, "n").contains("one\n") && text_at(&laid, "n").contains("two\n"));
}

#[test]
fn a_files_mode_comes_from_the_side_that_changed_it() {
    let sides = sides(&[("a", "one\n")], &[("a", Some("two\n"))]);
    let kind = ChangeKind::Written { mode: Mode::Executable, bytes: b"three\n".to_vec() };
    let laid = sides.lay_out(&[Change { path: path("a"), kind }]).unwrap();
    let ChangeKind::Written { mode, .. } = &laid.changes[0].kind else { panic!("{laid:?}") };
    assert_eq!((markers(&laid), *mode), (vec![("a", Some(7))], Mode::Executable));
}

#[test]
fn files_and_folders_of_one_name_leave_the_branchs_and_are_told() {
    let base = [("f", "file\n"), ("d/x", "x\n")];
    let worker_folder = [removed("f"), written("f/inside", "inside\n"), written("n", "n\n")];
    let worker_file = [removed("d/x"), written("d", "was a folder\n"), written("n", "n\n")];
    for (branch, worker) in [
        (vec![("f", Some("edited\n"))], worker_folder.as_slice()),
        (vec![("d/x", Some("edited\n"))], worker_file.as_slice()),
        (vec![("f", None), ("f/other", Some("other\n"))], &[written("f", "edited\n")]),
        (vec![("d/x", None), ("d", Some("file\n"))], &[written("d/x", "edited\n")]),
    ] {
        let sides = sides(&base, &branch);
        let laid = sides.lay_out(worker).unwrap();
        assert!(!laid.collisions.is_empty(), "{branch:?}");
        let checkout = sides.checkout(&laid);
        // What the branch has is all there; of the worker's what fits beside it.
        for (at, text) in branch.iter().filter_map(|(at, text)| Some((at, (*text)?))) {
            assert_eq!(checkout.folder().directory().read_to_string(at).unwrap(), text, "{laid:?}");
        }
        let there = checkout.folder().directory().exists("n");
        assert_eq!(there, worker.iter().any(|one| one.path.as_str() == "n"));
        // Every path of the worker's is there or told.
        for change in worker {
            let at = change.path.as_str();
            let told = laid.collisions.iter().any(|one| one.path == at);
            assert!(told || laid.changes.contains(change), "{at} in {laid:?}");
        }
    }
}

#[test]
fn a_rename_meets_a_deletion_and_another_rename() {
    let text = "a line that is long enough\nand another one\nand a third\nand a fourth\n";
    let worker = [removed("old"), written("new", text)];
    let renamed = sides(&[("old", text)], &[("old", None), ("other", Some(text))]);
    let laid = renamed.lay_out(&worker).unwrap();
    assert!(laid.collisions.iter().any(|one| one.path == "new" && one.markers.is_none()));
    let deleted = sides(&[("old", text), ("k", "k\n")], &[("old", None)]);
    let laid = deleted.lay_out(&worker).unwrap();
    assert!(laid.collisions.iter().all(|one| one.markers.is_none()), "{laid:?}");
    // The other's edit follows a rename, where something else collides.
    let edited = format!("{text}a fifth\n");
    let base = [("old", text), ("a", "one\n")];
    let renamed = sides(&base, &[("old", None), ("new", Some(text)), ("a", Some("two\n"))]);
    let laid = renamed.lay_out(&[written("old", &edited), written("a", "three\n")]).unwrap();
    assert_eq!((markers(&laid), text_at(&laid, "new")), (vec![("a", Some(7))], &*edited));
}

#[test]
fn nothing_is_laid_out_where_nothing_collides_or_far_too_much_does() {
    let sides = sides(&[("a", "one\n")], &[("b", Some("b\n"))]);
    assert_eq!(sides.lay_out(&[written("a", "two\n")]), None);
    let names: Vec<String> = (0..=MOST_COLLISIONS).map(|number| format!("n{number}")).collect();
    let branch: Vec<_> = names.iter().map(|name| (name.as_str(), Some("one\n"))).collect();
    let sides = self::sides(&[], &branch);
    let worker: Vec<Change> = names.iter().map(|name| written(name, "two\n")).collect();
    assert_eq!(sides.lay_out(&worker), None);
}
