//! Checkouts on real repositories.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::changes::Mode;
use super::super::checkouts::Checkouts;
use super::super::compare::Stamp;
use super::super::testing::{Sandbox, make_deep, path, removed, run_git, written};
use super::*;
use crate::tools::files;
use crate::tools::place::WriteArea;

/// A checkout that stands on `main`, with its folder's path.
fn checkout(sandbox: &Sandbox) -> (Checkout, std::path::PathBuf) {
    let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
    let checkout = checkouts.open("slot-1").unwrap();
    checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
    // The tests write as commands do, at any time.
    let folder = checkout.folder_for_command(true).to_owned();
    (checkout, folder)
}

/// Every path below a folder, folders with a `/`.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in ignore::WalkBuilder::new(folder).standard_filters(false).build().skip(1) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        let is_folder = entry.file_type().unwrap().is_dir();
        names.push(if is_folder { format!("{name}/") } else { name });
    }
    names.sort();
    names
}

#[test]
fn a_reset_restores_what_is_tracked_keeps_what_is_ignored_and_removes_the_rest() {
    let sandbox = Sandbox::with(&[(".gitignore", "target\n"), ("a", "one\n"), ("d/x", "x\n")]);
    let (checkout, folder) = checkout(&sandbox);
    let clean = names(&folder);
    assert_eq!(clean, [".gitignore", "a", "d/", "d/x"]);
    fs::write(folder.join("a"), "two\n").unwrap();
    fs::remove_file(folder.join("d/x")).unwrap();
    // Hides everything from the next worker, itself included.
    fs::write(folder.join(".gitignore"), "*\n").unwrap();
    fs::write(folder.join("d/.gitignore"), "*\n").unwrap();
    fs::create_dir_all(folder.join("empty/deep")).unwrap();
    fs::create_dir_all(folder.join("target")).unwrap();
    fs::write(folder.join("target/cache"), "kept\n").unwrap();
    fs::write(folder.join("odd\nname"), "n\n").unwrap();
    run_git(&folder, &["init", "--quiet", "nested"]);
    run_git(&folder, &["init", "--quiet"]);
    checkout.reset(&checkout.base()).unwrap();
    fs::remove_file(folder.join("target/cache")).expect("ignored files stay");
    fs::remove_dir(folder.join("target")).unwrap();
    assert_eq!(names(&folder), clean);
    assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "one\n");
    assert_eq!(checkout.changes(|_| true).unwrap(), Changes::default());
}

#[test]
fn a_reset_writes_only_what_differs_between_commits() {
    let sandbox = Sandbox::with(&[("a", "one\n"), ("b", "one\n"), ("f", "file\n"), ("d/x", "x\n")]);
    let (checkout, folder) = checkout(&sandbox);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let a = fs::File::options().write(true).open(folder.join("a")).unwrap();
    a.set_modified(long_ago).unwrap();
    sandbox.git(&["rm", "--quiet", "f", "d/x"]);
    for (name, text) in [("b", "two\n"), ("f/inside", "i\n"), ("d", "now a file\n")] {
        sandbox.write(name, text);
    }
    symlink("/nowhere", sandbox.top().join("link")).unwrap();
    fs::set_permissions(sandbox.top().join("b"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "next"]);
    checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
    let modified = |name: &str| fs::metadata(folder.join(name)).unwrap().modified().unwrap();
    assert_eq!(modified("a"), long_ago, "what is as it should be is not written again");
    assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), "two\n");
    assert_eq!(names(&folder), ["a", "b", "d", "f/", "f/inside", "link"]);
    assert_eq!(fs::read_link(folder.join("link")).unwrap(), Path::new("/nowhere"));
    assert_eq!(fs::metadata(folder.join("b")).unwrap().mode() & 0o100, 0o100);
    assert_eq!(checkout.changes(|_| true).unwrap(), Changes::default());
}

#[test]
fn what_has_another_name_or_other_rights_is_replaced_and_the_rest_written_into() {
    let names = ["a", "b", "c", "d", "e"];
    let sandbox = Sandbox::with(&names.map(|name| (name, "a line\n")));
    let (checkout, folder) = checkout(&sandbox);
    let commit = sandbox.git(&["rev-parse", "HEAD"]);
    checkout.reset(&commit).unwrap();
    checkout.folder_for_command(false);
    let outside = sandbox.top().with_file_name("outside");
    fs::hard_link(folder.join("b"), &outside).unwrap();
    for (name, text) in [("a", "two, which is longer\n"), ("b", "b\n"), ("c", "c\n"), ("d", "")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let setuid = fs::Permissions::from_mode(0o4644);
    fs::set_permissions(folder.join("c"), setuid).unwrap();
    fs::set_permissions(folder.join("e"), fs::Permissions::from_mode(0o755)).unwrap();
    let opened = names.map(|name| fs::File::open(folder.join(name)).unwrap());
    checkout.reset(&commit).unwrap();
    for name in names {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "a line\n", "{name}");
        let mode = fs::symlink_metadata(folder.join(name)).unwrap().mode();
        assert_eq!(mode & 0o7711, 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(outside).unwrap(), "b\n", "it is somebody's own");
    let held = opened.map(|file| io::read_to_string(file).unwrap());
    assert_eq!(held, ["a line\n", "b\n", "c\n", "a line\n", "a line\n"]);
}

#[test]
fn all_kinds_of_changes_are_found() {
    let sandbox = Sandbox::with(&[("a", "1\n"), ("b", "1\n"), ("c", "1\n"), ("d/x", "x\n")]);
    let (checkout, folder) = checkout(&sandbox);
    fs::remove_file(folder.join("b")).unwrap();
    fs::set_permissions(folder.join("c"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join("new"), "n\n").unwrap();
    fs::rename(folder.join("d"), folder.join("e")).unwrap();
    symlink("e", folder.join("d")).unwrap();
    let kind = |mode, text: &str| ChangeKind::Written { mode, bytes: text.into() };
    let expected = vec![
        removed("b"),
        Change { path: path("c"), kind: kind(Mode::Executable, "1\n") },
        Change { path: path("d"), kind: kind(Mode::Link, "e") },
        removed("d/x"),
        written("e/x", "x\n"),
        written("new", "n\n"),
    ];
    assert_eq!(checkout.changes(|_| true).unwrap().changes, expected);
    checkout.reset(&checkout.base()).unwrap();
    assert_eq!(names(&folder), ["a", "b", "c", "d/", "d/x"]);
}

#[test]
fn an_edit_of_the_same_size_and_time_is_found() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (checkout, folder) = checkout(&sandbox);
    let modified = fs::metadata(folder.join("a")).unwrap().modified().unwrap();
    fs::write(folder.join("a"), "two\n").unwrap();
    let file = fs::File::options().write(true).open(folder.join("a")).unwrap();
    file.set_modified(modified).unwrap();
    // The worst case: not even the time of the last change of the inode tells.
    let metadata = checkout.folder().directory().symlink_metadata("a").unwrap();
    let mut held = checkout.held();
    held.files.get_mut(&path("a")).unwrap().stamp = Some(Stamp::of(&metadata));
    drop(held);
    assert_eq!(checkout.changes(|_| true).unwrap().changes, [written("a", "two\n")]);
}

#[test]
fn what_lies_outside_the_root_path_is_left_out_and_named() {
    let sandbox = Sandbox::with(&[("src/a", "one\n"), ("b", "one\n")]);
    let repository = Repository::open(&sandbox.top().join("src"), "main", true).unwrap();
    let checkouts = Checkouts::new(repository, "r1", &sandbox.cache(), false).unwrap();
    let checkout = checkouts.open("slot-1").unwrap();
    checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
    for name in ["src/a", "b", "srcs"] {
        fs::write(checkout.folder_for_command(false).join(name), "two\n").unwrap();
    }
    let changes = checkout.changes(|_| true).unwrap();
    assert_eq!(changes.changes, [written("src/a", "two\n")]);
    assert_eq!(changes.outside, [path("b"), path("srcs")]);
}

#[test]
fn submodules_stay_as_they_are() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    let entry = format!("160000,{head},sub");
    sandbox.git(&["update-index", "--add", "--cacheinfo", &entry]);
    sandbox.git(&["commit", "--quiet", "--message", "sub"]);
    let (checkout, folder) = checkout(&sandbox);
    assert_eq!(names(&folder), ["a", "sub/"]);
    fs::write(folder.join("sub/x"), "x\n").unwrap();
    let changes = checkout.changes(|_| true).unwrap();
    assert_eq!(changes.changes, []);
    assert_eq!(changes.left_out[0].to_string(), "`sub/x` (in a submodule)");
    fs::remove_dir_all(folder.join("sub")).unwrap();
    assert_eq!(checkout.changes(|_| true).unwrap(), Changes::default());
    checkout.reset(&checkout.base()).unwrap();
    assert_eq!(names(&folder), ["a", "sub/"]);
}

#[test]
fn an_ignore_file_that_never_ends_is_refused_and_reset() {
    let sandbox = Sandbox::with(&[("d/a", "one\n")]);
    let (checkout, folder) = checkout(&sandbox);
    symlink("/dev/zero", folder.join("d/.gitignore")).unwrap();
    let error = checkout.changes(|_| true).unwrap_err().to_string();
    assert!(error.contains("d/.gitignore"), "{error}");
    checkout.reset(&checkout.base()).unwrap();
    assert_eq!(names(&folder), ["d/", "d/a"]);
}

#[test]
fn a_checkout_that_cannot_be_listed_fails_with_a_sentence_and_is_made_anew() {
    let sandbox = Sandbox::with(&[(".gitignore", "target\n"), ("a", "one\n")]);
    let (checkout, folder) = checkout(&sandbox);
    fs::create_dir(folder.join("target")).unwrap();
    make_deep(checkout.folder().directory(), 20_000);
    let error = checkout.changes(|_| true).unwrap_err().to_string();
    assert!(error.contains("is too deep to be listed; remove it"), "{error}");
    assert!(error.len() < 1_000, "{error}");
    checkout.reset(&checkout.base()).unwrap();
    assert_eq!(names(&folder), [".gitignore", "a"]);
    assert_eq!(checkout.changes(|_| true).unwrap(), Changes::default());
    fs::create_dir(folder.join("target")).unwrap();
    make_deep(&checkout.folder().directory().open_dir("target").unwrap(), 20_000);
    assert_eq!(
        checkout.changes(|_| true).unwrap(),
        Changes::default(),
        "what is ignored may be deep"
    );
    checkout.reset(&checkout.base()).unwrap();
    checkout.close();
    assert!(!folder.exists());
}

#[test]
fn pipes_are_left_out_and_large_files_refused() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (checkout, folder) = checkout(&sandbox);
    let made = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
    assert!(made.success());
    assert_eq!(checkout.changes(|_| true).unwrap(), Changes::default());
    let file = fs::File::create(folder.join("large")).unwrap();
    file.set_len(LARGEST_FILE + 1).unwrap();
    let error = checkout.changes(|_| true).unwrap_err().to_string();
    assert!(error.contains("`large` is larger than 50 MiB"), "{error}");
    checkout.reset(&checkout.base()).unwrap();
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn what_a_dead_hosts_processes_still_write_is_in_nobodys_checkout() {
    let sandbox = Sandbox::with(&[("a", "one\n"), (".gitignore", "target\n")]);
    let run_folder = sandbox.cache().join("checkouts/r1");
    let opened = |name: &str| {
        fs::create_dir_all(run_folder.join(name)).unwrap();
        cap_std::fs::Dir::open_ambient_dir(run_folder.join(name), cap_std::ambient_authority())
            .unwrap()
    };
    // As a killed host leaves it, with a process at work in each of them.
    let left = ["slot-1", "slot-1.home", "slot-1.tmp"].map(opened);
    fs::create_dir(run_folder.join("slot-1/target")).unwrap();
    let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
    let checkout = checkouts.open("slot-1").unwrap();
    checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
    let folders = [checkout.folder().path().to_owned(), checkout.home().unwrap()];
    for left in left {
        // Its folder may be gone; it never is somebody else's.
        let _ = left.write("poison", "");
    }
    assert_eq!(names(&folders[0]), [".gitignore", "a"]);
    assert_eq!(names(&folders[1]), Vec::<String>::new());
    // Nor is one in which somebody works.
    let other = checkouts.open("slot-1").unwrap();
    assert_ne!(other.folder().path(), checkout.folder().path());
    assert_ne!(other.home().unwrap(), checkout.home().unwrap());
    checkout.close();
    assert!(other.folder().path().exists() && !folders[0].exists() && !folders[1].exists());
}

#[test]
fn folders_go_with_their_owners() {
    let sandbox = Sandbox::with(&[("a", "one\n")]);
    let (checkout, folder) = checkout(&sandbox);
    checkout.close();
    assert!(!folder.exists() && !folder.parent().unwrap().exists());
    let inside = sandbox.top().join("cache");
    assert!(matches!(Checkouts::new(sandbox.open(), "r1", &inside, false), Err(Error::Usage(_))));
    assert!(!inside.exists());
}

/// Whatever tools do: where the host has heard of each path, a look at those
/// alone finds what a look at everything finds, and a reset after it leaves what
/// a reset of everything leaves.
#[test]
fn what_tools_touched_is_all_that_changed() {
    let files: Vec<String> =
        (0..40).map(|number| format!("d{}/e{}/f{number}", number % 3, number % 5)).collect();
    let mut texts: Vec<(&str, &str)> = files.iter().map(|file| (&**file, "one\n")).collect();
    texts.push((".gitignore", "*.log\nbuilt\n"));
    let sandbox = Sandbox::with(&texts);
    let tip = sandbox.git(&["rev-parse", "HEAD"]);
    let next = sandbox.commit_beside("refs/heads/next", &[("d1/e1/f1", "2\n"), ("new/n", "n\n")]);
    let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
    let (known, blind) = (checkouts.open("known").unwrap(), checkouts.open("blind").unwrap());
    for checkout in [&known, &blind] {
        checkout.reset(&tip).unwrap();
        fs::create_dir_all(checkout.folder().path().join("built")).unwrap();
        fs::write(checkout.folder().path().join("built/cache"), "kept\n").unwrap();
    }
    blind.folder_for_command(true);
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..60 {
        for _ in 0..random(6) {
            let number = random(50);
            let file = files.get(number).cloned();
            let file = file.unwrap_or_else(|| format!("x{}/y/{number}.log", number % 2));
            let (what, other) = (random(5), format!("made{}/{}", random(3), random(9)));
            for checkout in [&known, &blind] {
                touch(checkout, what, &file, &other);
            }
        }
        let changes = known.changes(|_| true).unwrap();
        assert_eq!(changes, blind.changes(|_| true).unwrap(), "round {round}");
        assert_eq!(known.status().unwrap(), blind.status().unwrap());
        let to = if random(2) == 0 { &tip } else { &next };
        for checkout in [&known, &blind] {
            checkout.reset(to).unwrap();
        }
        assert_eq!(names(known.folder().path()), names(blind.folder().path()), "round {round}");
        known.folder_for_command(false);
        assert_eq!(known.changes(|_| true).unwrap(), Changes::default(), "round {round}");
        known.reset(to).unwrap();
    }
    assert!(known.folder().path().join("built/cache").exists(), "ignored files stay");
}

/// `a-b` stands between `a` and what is in it, wherever names are sorted.
#[test]
fn what_was_touched_twice_is_found_once() {
    let sandbox = Sandbox::with(&[("a/b", "one\n"), ("a-b", "one\n")]);
    let checkouts = Checkouts::new(sandbox.open(), "r1", &sandbox.cache(), false).unwrap();
    let checkout = checkouts.open("slot-1").unwrap();
    checkout.reset(&sandbox.git(&["rev-parse", "HEAD"])).unwrap();
    for at in ["a", "a-b", "a/b", "a/c"] {
        checkout.note(&path(at));
    }
    for at in ["a/b", "a-b", "a/c"] {
        fs::write(checkout.folder().path().join(at), "two\n").unwrap();
    }
    let expected = ["a-b", "a/b", "a/c"].map(|at| written(at, "two\n"));
    assert_eq!(checkout.changes(|_| true).unwrap().changes, expected);
}

/// What a tool may do at a path, and how the host hears of it.
fn touch(checkout: &Checkout, what: usize, file: &str, other: &str) {
    let root = CheckoutPath::top();
    let note = |path: &CheckoutPath| checkout.note(path);
    let folder = checkout.folder();
    let area = WriteArea { folder, root: &root, keeper: None, witness: Some(&note) };
    let (file, other) = (path(file), path(other));
    // What can't be done is refused, in both checkouts alike.
    let _ = match what {
        0 => files::remove(area, &file),
        1 => files::rename(area, &file, &other),
        2 => files::rename(area, &file.parent().unwrap(), &other),
        3 => files::write(area, &file, b"one\n", Some(true)).map(drop),
        _ => files::write(area, &file, other.as_str().as_bytes(), None).map(drop),
    };
}
