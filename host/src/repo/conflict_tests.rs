//! What collides and what does not, kind by kind: each time two workers start
//! from the same commit, and the second lands on what the first has landed.

use super::*;

/// Lines that are long enough for git to see that a file was only renamed.
const TEXT: &str = "a line that is long enough\nand another one\nand a third\nand a fourth\n";

fn mode(at: &str, mode: Mode, text: &str) -> Change {
    Change { path: path(at), kind: ChangeKind::Written { mode, bytes: text.into() } }
}

fn bytes(at: &str, bytes: &[u8]) -> Change {
    let kind = ChangeKind::Written { mode: Mode::File, bytes: bytes.to_vec() };
    Change { path: path(at), kind }
}

/// The second collides, and the branch is as the first has left it.
#[track_caller]
fn collide(base: &[(&str, &str)], first: Vec<Change>, second: Vec<Change>) -> Vec<String> {
    let run = run_on(base);
    let landed = run.land("l1", first).unwrap();
    let (files, commits) = conflict(run.land("l2", second));
    assert_eq!(run.tip(), landed.commit, "a conflict lands nothing");
    assert_eq!(commits, [landed.commit], "the other's commit is named");
    run.check(1);
    files
}

/// Both land; returns the run, to be looked at.
#[track_caller]
fn both_land(base: &[(&str, &str)], first: Vec<Change>, second: Vec<Change>) -> Run {
    let run = run_on(base);
    run.land("l1", first).unwrap();
    run.land("l2", second).unwrap();
    run.check(2);
    run
}

fn names(run: &Run) -> String {
    run.sandbox.git(&["ls-tree", "-r", "--name-only", "refs/code-agent/runs/r1"])
}

/// The bytes of a file on the run's branch, line ends included.
fn held(run: &Run, at: &str) -> Vec<u8> {
    let git = git2::Repository::open(run.sandbox.top()).unwrap();
    let tree = git.find_reference("refs/code-agent/runs/r1").unwrap().peel_to_tree().unwrap();
    let entry = tree.get_path(std::path::Path::new(at)).unwrap();
    git.find_blob(entry.id()).unwrap().content().to_vec()
}

#[test]
fn the_same_lines_collide() {
    let files = collide(
        &[("a", "1\n2\n3\n")],
        vec![written("a", "1\nx\n3\n")],
        vec![written("a", "1\ny\n3\n"), written("b", "lands neither\n")],
    );
    assert_eq!(files, ["a"]);
    // Two new files of one name, too.
    assert_eq!(collide(&[], vec![written("n", "one\n")], vec![written("n", "two\n")]), ["n"]);
}

#[test]
fn a_rename_and_an_edit_come_together_and_other_renames_collide() {
    let edited = format!("{TEXT}a fifth\n");
    let rename = || vec![removed("old"), written("new", TEXT)];
    for (first, second) in
        [(vec![written("old", &edited)], rename()), (rename(), vec![written("old", &edited)])]
    {
        let run = both_land(&[("old", TEXT)], first, second);
        assert_eq!((names(&run).as_str(), run.show("new")), ("new", edited.trim_end().to_owned()));
    }
    let elsewhere = vec![removed("old"), written("other", TEXT)];
    let files = collide(&[("old", TEXT)], rename(), elsewhere);
    assert!(["old", "new", "other"].iter().all(|name| files.contains(&(*name).to_owned())));
    let files = collide(&[("old", TEXT)], rename(), vec![removed("old")]);
    assert!(files.contains(&"old".to_owned()), "{files:?}");
}

#[test]
fn modes_and_kinds_of_files() {
    let base = [("a", TEXT)];
    let edited = format!("{TEXT}a fifth\n");
    let executable = || vec![mode("a", Mode::Executable, TEXT)];
    let run = both_land(&base, executable(), vec![written("a", &edited)]);
    let entry = run.sandbox.git(&["ls-tree", "refs/code-agent/runs/r1", "a"]);
    assert!(entry.starts_with("100755"), "{entry}");
    assert_eq!(run.show("a"), edited.trim_end());
    assert_eq!(collide(&base, executable(), vec![removed("a")]), ["a"]);
    let link = || vec![mode("a", Mode::Link, "elsewhere")];
    assert_eq!(collide(&base, link(), vec![written("a", &edited)]), ["a"]);
    assert_eq!(collide(&base, vec![written("a", &edited)], link()), ["a"]);
    let run = run_on(&base);
    run.land("l1", executable()).unwrap();
    assert_eq!(run.land("l2", executable()), Err(LandError::Nothing));
}

#[test]
fn binary_files_are_never_merged_by_lines() {
    let text = "1\0\n2\n3\n4\n5\n6\n7\0\n";
    let (first, last) = (text.replacen('1', "one", 1), text.replacen('7', "seven", 1));
    let base = [("a", text), ("b", "\0\u{1}")];
    let files = collide(&base, vec![written("a", &first)], vec![written("a", &last)]);
    assert_eq!(files, ["a"]);
    assert_eq!(collide(&base, vec![removed("a")], vec![written("a", &last)]), ["a"]);
    let (one, other) = (b"\xff\x00\xfe\r\n".as_slice(), b"\x00\x0a\x0d".as_slice());
    let run = both_land(&base, vec![bytes("a", one)], vec![bytes("b", other)]);
    assert_eq!((held(&run, "a"), held(&run, "b")), (one.to_vec(), other.to_vec()));
}

#[test]
fn a_name_that_changes_its_case_alone_is_renamed() {
    let edited = format!("{TEXT}a fifth\n");
    let rename = |to: &str| vec![removed("readme"), written(to, TEXT)];
    let run = both_land(&[("readme", TEXT)], rename("README"), vec![written("readme", &edited)]);
    assert_eq!(names(&run), "README");
    assert_eq!(run.show("README"), edited.trim_end());
    let files = collide(&[("readme", TEXT)], rename("README"), rename("ReadMe"));
    assert!(files.contains(&"README".to_owned()) && files.contains(&"ReadMe".to_owned()));
    // A folder's case.
    let folder = vec![removed("docs/a"), written("Docs/a", TEXT)];
    let run = both_land(&[("docs/a", TEXT)], folder, vec![written("docs/a", &edited)]);
    assert_eq!(names(&run), "Docs/a");
}

#[test]
fn what_changes_nothing_lands_nothing() {
    let run = run_on(&[("a", "one\n"), ("d/x", "x\n")]);
    for (id, changes) in [
        ("l1", vec![]),
        ("l2", vec![written("a", "one\n")]),
        ("l3", vec![removed("never")]),
        ("l4", vec![removed("d/y"), written("d/x", "x\n")]),
    ] {
        assert_eq!(run.land(id, changes), Err(LandError::Nothing), "{id}");
    }
    run.land("l5", vec![written("a", "two\n")]).unwrap();
    assert_eq!(run.land("l6", vec![written("a", "two\n")]), Err(LandError::Nothing));
    run.check(1);
}

#[test]
fn line_ends_are_bytes_like_others() {
    let lines = |ends: [&str; 7]| {
        (1..=7).map(|number| format!("{number}{}", ends[number - 1])).collect::<String>()
    };
    let crlf = lines(["\r\n"; 7]);
    let (first, last) = (crlf.replacen('1', "one", 1), crlf.replacen('7', "seven", 1));
    // What an attribute wishes for the working tree changes nothing of it.
    let base = [("a", crlf.as_str()), (".gitattributes", "* text=auto eol=lf\n")];
    let run = both_land(&base[..1], vec![written("a", &first)], vec![written("a", &last)]);
    let merged = first.replacen('7', "seven", 1);
    assert_eq!(String::from_utf8(held(&run, "a")).unwrap(), merged);
    let unix = lines(["\n"; 7]);
    let files = collide(&base[..1], vec![written("a", &unix)], vec![written("a", &first)]);
    assert_eq!(files, ["a"]);
    // One line's end beside an edit far away.
    let mixed = lines(["\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n"]);
    let run = both_land(&base[..1], vec![written("a", &mixed)], vec![written("a", &last)]);
    assert_eq!(String::from_utf8(held(&run, "a")).unwrap(), mixed.replacen('7', "seven", 1));
    let run = run_on(&base[1..]);
    run.land("l1", vec![written("new", &crlf)]).unwrap();
    assert_eq!(String::from_utf8(held(&run, "new")).unwrap(), crlf);
}

#[test]
fn files_and_folders_of_one_name_collide() {
    let base = [("f", "file\n"), ("d/x", "x\n")];
    let folder = || vec![removed("f"), written("f/inside", "inside\n")];
    let file = || vec![removed("d/x"), written("d", "was a folder\n")];
    assert!(!collide(&base, folder(), vec![written("f", "edited\n")]).is_empty());
    assert!(!collide(&base, vec![written("f", "edited\n")], folder()).is_empty());
    assert!(!collide(&base, file(), vec![written("d/x", "edited\n")]).is_empty());
    assert!(!collide(&base, vec![written("d/x", "edited\n")], file()).is_empty());
}

#[test]
fn attributes_that_nobody_committed_say_nothing_of_a_merge() {
    let run = run_on(&[("app.py", "1\n"), ("d/e.py", "1\n")]);
    for place in [".gitattributes", "d/.gitattributes", ".git/info/attributes"] {
        run.sandbox.write(place, "* merge=union\n");
    }
    run.land("l1", vec![written("app.py", "one\n"), written("d/e.py", "one\n")]).unwrap();
    let both = vec![written("app.py", "two\n"), written("d/e.py", "two\n")];
    assert_eq!(conflict(run.land("l2", both)).0, ["app.py", "d/e.py"]);
    run.check(1);
}

#[test]
fn attributes_of_the_branch_choose_how_files_merge_wherever_the_user_stands() {
    let base = [
        (".gitattributes", "\u{feff}[attr]lines merge=union\n*.log lines\n"),
        ("d/.gitattributes", "*.txt -merge\n"),
        ("a.log", "0\n"),
        ("d/a.txt", "1\n2\n3\n4\n5\n"),
    ];
    let run = run_on(&base);
    run.sandbox.write(".gitattributes", "* -merge\n");
    run.sandbox.write("d/.gitattributes", "*.txt merge\n");
    run.land("l1", vec![written("a.log", "0\none\n"), written("d/a.txt", "one\n2\n3\n4\n5\n")])
        .unwrap();
    run.land("l2", vec![written("a.log", "0\ntwo\n")]).unwrap();
    assert_eq!(run.show("a.log"), "0\none\ntwo");
    let files = conflict(run.land("l3", vec![written("d/a.txt", "1\n2\n3\n4\nfive\n")])).0;
    assert_eq!(files, ["d/a.txt"]);
    run.check(2);
}
