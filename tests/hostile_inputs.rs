//! What a hostile model sends to the tools, and what a hostile repository lays
//! out for them: each is refused with a sentence, and nothing beside the
//! checkout is read or changed.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use code_agent::repo::folder::Folder;
use code_agent::repo::path::CheckoutPath;
use code_agent::tools::call_file_tool;
use code_agent::tools::place::WriteArea;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What stands in every file beside the checkout.
const CANARY: &str = "CANARY";

/// A checkout full of traps, and a tree beside it that nobody may touch.
struct Trapped {
    folder: TempDir,
    checkout: Folder,
}

impl Trapped {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("checkout");
        for name in ["checkout/src/deep", "checkout/.git", "beside/inner"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["beside/secret.txt", "beside/inner/more.txt", "secret.txt"] {
            fs::write(folder.path().join(name), CANARY).unwrap();
        }
        for (name, text) in
            [("a.txt", "one\ntwo\ntwo\n"), ("src/lib.rs", "fn lib() {}\n"), (".git/config", CANARY)]
        {
            fs::write(top.join(name), text).unwrap();
        }
        fs::write(top.join("binary"), b"\0\x01\x02").unwrap();
        fs::write(top.join("latin"), b"caf\xe9\n").unwrap();
        fs::write(top.join(std::ffi::OsStr::from_bytes(b"na\xefve.txt")), "x\n").unwrap();
        fs::File::create(top.join("huge")).unwrap().set_len(4 << 30).unwrap();
        symlink("../beside", top.join("out")).unwrap();
        symlink("../beside/secret.txt", top.join("out.txt")).unwrap();
        symlink(folder.path().join("beside/secret.txt"), top.join("absolute.txt")).unwrap();
        symlink("/proc/self/environ", top.join("environ")).unwrap();
        symlink("/dev/zero", top.join("zero")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        symlink(".git", top.join("git")).unwrap();
        symlink("new-outside", top.join("dangling")).unwrap();
        fs::write(folder.path().join("linked.txt"), "LINKED").unwrap();
        fs::hard_link(folder.path().join("linked.txt"), top.join("hard.txt")).unwrap();
        assert!(Command::new("mkfifo").arg(top.join("pipe")).status().unwrap().success());
        drop(UnixListener::bind(top.join("socket")).unwrap());
        let mut deep = top.join("src/deep");
        for level in 0..60 {
            deep = deep.join(format!("level{level}"));
        }
        fs::create_dir_all(&deep).unwrap();
        let checkout = Folder::open(&top).unwrap();
        Self { folder, checkout }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A model's call, its answer or its refusal as text.
    fn call(&self, tool: &str, arguments: &str) -> Result<String, String> {
        let root = CheckoutPath::top();
        let area = WriteArea { folder: &self.checkout, root: &root, keeper: None, witness: None };
        call_file_tool(area, true, tool, arguments)
            .expect("the tool is there")
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn assert_untouched(&self) {
        for name in ["beside/secret.txt", "beside/inner/more.txt", "secret.txt"] {
            assert_eq!(fs::read_to_string(self.path(name)).unwrap(), CANARY, "{name}");
        }
        assert_eq!(names(&self.path("beside")), ["inner", "inner/more.txt", "secret.txt"]);
        let around: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| name_of(&entry.unwrap().path()))
            .collect();
        assert_eq!(around.len(), 4, "{around:?}");
        assert_eq!(fs::read_to_string(self.path("linked.txt")).unwrap(), "LINKED");
        assert_eq!(fs::read_to_string(self.path("checkout/.git/config")).unwrap(), CANARY);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let walk = ignore::WalkBuilder::new(folder).standard_filters(false).build().skip(1);
    let mut names: Vec<String> = walk
        .map(|entry| entry.unwrap().path().strip_prefix(folder).unwrap().display().to_string())
        .collect();
    names.sort();
    names
}

/// Paths that no tool takes, and a part of what is said of each.
fn refused_paths() -> Vec<(String, &'static str)> {
    let mut paths: Vec<(String, &'static str)> = [
        ("/etc/passwd", "is absolute"),
        ("../secret.txt", "leads upwards"),
        ("src/../../secret.txt", "leads upwards"),
        ("a/../../../../../../etc/passwd", "leads upwards"),
        (".git/config", "git's own folder"),
        ("src/.GIT/config", "git's own folder"),
        (".g\u{200c}it/config", "git's own folder"),
        ("GIT~1/config", "git's own folder"),
        (".git\u{200d}/hooks/pre-commit", "git's own folder"),
        ("a\0b", "no path here may have"),
        ("a\nb", "no path here may have"),
        ("..\\secret.txt", "no path here may have"),
        ("C:\\secret.txt", "no path here may have"),
        ("", "names no file"),
        (".", "names"),
        ("./", "names"),
        ("src/", "names a folder"),
        ("src/.", "names a folder"),
    ]
    .map(|(path, words)| (path.to_owned(), words))
    .into();
    paths.push(("a/".repeat(3000) + "b", "longer than 4096 bytes"));
    paths.push(("x".repeat(300), "longer than 255 bytes"));
    paths
}

/// Things in the checkout that are no files, or lead out of it.
const TRAPS: [(&str, &str); 12] = [
    ("out/secret.txt", "out of the checkout"),
    ("out.txt", "out of the checkout"),
    ("absolute.txt", "out of the checkout"),
    ("environ", "out of the checkout"),
    ("zero", "out of the checkout"),
    ("loop", "symbolic links"),
    ("git/config", "git's own folder"),
    ("pipe", "is a pipe"),
    ("socket", "is a pipe, a socket"),
    ("src", "is a folder"),
    ("a.txt/b", "is a file, not a folder"),
    ("src/deep", "is a folder"),
];

#[test]
fn every_tool_refuses_what_is_hostile_and_says_why() {
    let trapped = Trapped::new();
    let mut table: Vec<(&str, Value, &str)> = Vec::new();
    let touching = |path: &str| {
        [
            ("read_file_content", json!({ "path": path })),
            ("write_file_content", json!({ "path": path, "content": "x" })),
            ("edit_file", json!({ "path": path, "old_text": "CANARY", "new_text": "x" })),
            ("delete_file", json!({ "path": path })),
            ("move_file", json!({ "from": path, "to": "moved" })),
            ("move_file", json!({ "from": "a.txt", "to": path })),
        ]
    };
    let paths = refused_paths();
    for (path, words) in &paths {
        table.extend(touching(path).map(|(tool, arguments)| (tool, arguments, *words)));
    }
    for (path, words) in TRAPS {
        table.push(("read_file_content", json!({ "path": path }), words));
        table.push(("edit_file", json!({ "path": path, "old_text": "x", "new_text": "y" }), words));
    }
    for (path, words) in [
        ("out/new.txt", "out of the checkout"),
        ("out/inner/new.txt", "out of the checkout"),
        ("hard.txt", "is a hard link"),
        ("nul", "device on Windows"),
        ("src/Aux.rs", "device on Windows"),
        ("com1.txt", "device on Windows"),
        ("ends.", "ends with a dot"),
        ("ends /x", "ends with a dot or a space"),
        (".code-agent/x", "the program's own files"),
        ("pipe", "is a pipe"),
        ("src", "is a folder"),
    ] {
        table.push(("write_file_content", json!({ "path": path, "content": "x" }), words));
    }
    let more: [(&str, Value, &str); 30] = [
        ("read_file_content", json!({ "path": "binary" }), "is a binary file of 3 bytes"),
        ("read_file_content", json!({ "path": "huge" }), "huge"),
        ("read_file_content", json!({ "path": "a.txt", "first_line": 99 }), "has only 3 lines"),
        ("read_file_content", json!({ "path": "a.txt", "first_line": -1 }), "not negative"),
        ("read_file_content", json!({ "path": "a.txt", "first_line": 1e300 }), "whole number"),
        ("read_file_content", json!({ "path": "a.tx" }), "a.txt"),
        ("read_file_content", json!({ "path": ["a.txt"] }), "has to be a string"),
        ("read_file_content", json!({ "file": "a.txt" }), "takes no argument `file`"),
        ("read_file_content", json!({}), "needs the argument `path`"),
        ("read_file_content", json!([]), "one JSON object"),
        ("edit_file", json!({ "path": "a.txt", "old_text": "two", "new_text": "x" }), "2"),
        ("edit_file", json!({ "path": "a.txt", "old_text": "", "new_text": "x" }), "empty"),
        ("edit_file", json!({ "path": "a.txt", "old_text": "tvo", "new_text": "x" }), "two"),
        ("edit_file", json!({ "path": "binary", "old_text": "x", "new_text": "y" }), "binary"),
        (
            "edit_file",
            json!({ "path": "a.txt", "old_text": 1, "new_text": "x" }),
            "has to be a string",
        ),
        ("write_file_content", json!({ "path": "a.txt" }), "needs the argument `content`"),
        (
            "write_file_content",
            json!({ "path": "b", "content": "x".repeat(11 << 20) }),
            "more than a file may get",
        ),
        ("delete_file", json!({ "path": "src" }), "is a folder"),
        ("delete_file", json!({ "path": "none" }), "does not exist"),
        ("move_file", json!({ "from": "a.txt", "to": "src/lib.rs" }), "exists already"),
        ("move_file", json!({ "from": "none", "to": "b" }), "does not exist"),
        ("search_code_pattern", json!({ "pattern": "(" }), "can't be used"),
        ("search_code_pattern", json!({ "pattern": "" }), "empty"),
        ("search_code_pattern", json!({ "pattern": "(\\w{200}){200}" }), "can't be used"),
        ("search_code_pattern", json!({ "pattern": "x".repeat(5000) }), "longer than"),
        ("search_code_pattern", json!({ "pattern": "(?=x)" }), "can't be used"),
        ("search_code_pattern", json!({ "pattern": "x", "globs": ["["] }), "glob"),
        (
            "search_code_pattern",
            json!({ "pattern": "x", "globs": vec!["*"; 101] }),
            "more than 100 globs",
        ),
        ("list_files_recursive", json!({ "path": "../beside" }), "leads upwards"),
        ("get_directory_structure", json!({ "path": "out" }), "out of the checkout"),
    ];
    table.extend(more);
    assert!(table.len() >= 60, "{} hostile inputs", table.len());
    println!("{} hostile inputs", table.len());
    let before = names(&trapped.path("checkout"));
    for (tool, arguments, words) in table {
        let arguments = arguments.to_string();
        let begun = Instant::now();
        let shown: String = arguments.chars().take(200).collect();
        let refusal = trapped.call(tool, &arguments).expect_err(&format!("{tool} {shown}"));
        assert!(refusal.contains(words), "{tool} {shown}: {refusal:?} does not say {words:?}");
        assert!(!refusal.contains(CANARY) && refusal.len() < 8192, "{tool} {shown}: {refusal}");
        // A hang, not a slow machine, is what this is about.
        assert!(begun.elapsed() < Duration::from_secs(60), "{tool} {shown}");
    }
    for text in ["{", "null", "\"x\"", "{\"path\": \"a\" \"b\"}", "{'path': 'a'}", "\u{0}"] {
        let refusal = trapped.call("read_file_content", text).unwrap_err();
        assert!(refusal.starts_with("invalid: "), "{text}: {refusal}");
    }
    assert_eq!(names(&trapped.path("checkout")), before, "nothing has come or gone");
    trapped.assert_untouched();
}

#[test]
fn what_is_odd_but_harmless_is_shown_in_bounds() {
    let trapped = Trapped::new();
    for (tool, arguments) in [
        ("list_files_recursive", json!({})),
        ("get_directory_structure", json!({ "depth": 4_000_000_000_u32 })),
        ("search_code_pattern", json!({ "pattern": "." })),
        (
            "search_code_pattern",
            json!({ "pattern": "(a*)*b|(x+x+)+y", "context_lines": 4_000_000_000_u32 }),
        ),
        (
            "search_code_pattern",
            json!({ "pattern": "CANARY", "globs": ["out/**", "../**", "/etc/*"] }),
        ),
        ("read_file_content", json!({ "path": "latin" })),
    ] {
        let shown = trapped.call(tool, &arguments.to_string()).unwrap();
        assert!(!shown.contains(CANARY) && shown.len() < 128 * 1024, "{tool}: {shown}");
    }
    trapped.assert_untouched();
}

/// SplitMix64, by Sebastiano Vigna: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// A path out of parts that have led out of sandboxes before.
fn random_path(random: &mut Random) -> String {
    const PARTS: [&str; 24] = [
        "..",
        ".",
        "",
        "a.txt",
        "src",
        "lib.rs",
        "out",
        "out.txt",
        "beside",
        "secret.txt",
        "inner",
        "dangling",
        "loop",
        "link",
        "link2",
        "new",
        "hard.txt",
        ".git",
        "config",
        "git",
        "absolute.txt",
        "~",
        "%2e%2e",
        "checkout",
    ];
    let parts: Vec<&str> = (0..=random.below(5)).map(|_| random.of(&PARTS)).collect();
    let slash = if random.below(12) == 0 { "/" } else { "" };
    format!("{slash}{}", parts.join("/"))
}

fn random_call(random: &mut Random) -> (&'static str, Value) {
    let (one, other) = (random_path(random), random_path(random));
    match random.below(9) {
        0 => ("read_file_content", json!({ "path": one })),
        1 => ("write_file_content", json!({ "path": one, "content": "written" })),
        2 => ("edit_file", json!({ "path": one, "old_text": "A", "new_text": "B" })),
        3 => ("delete_file", json!({ "path": one })),
        4 => ("move_file", json!({ "from": one, "to": other })),
        5 => ("list_files_recursive", json!({ "path": one })),
        6 => ("get_directory_structure", json!({ "path": one })),
        7 => ("search_code_pattern", json!({ "pattern": "A", "globs": [other] })),
        _ => ("write_file_content", json!({ "path": one, "content": "x".repeat(3000) })),
    }
}

/// `HOSTILE_SEED` repeats a failure.
#[test]
fn no_sequence_of_calls_reaches_anything_beside_the_checkout() {
    let seed = std::env::var("HOSTILE_SEED").ok().map_or_else(
        || {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros()
                as u64
        },
        |text| text.parse().unwrap(),
    );
    println!("HOSTILE_SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..12 {
        let trapped = Trapped::new();
        let top = trapped.path("checkout");
        for _ in 0..250 {
            // What a command that ran in the checkout could have left.
            if random.below(6) == 0 {
                let place = top.join(random.of(&["link", "link2", "src/link", "new"]));
                let target = random.of(&[
                    "..",
                    "../beside",
                    "../secret.txt",
                    "/",
                    "/etc/passwd",
                    "out",
                    ".git",
                ]);
                // There may be something else under that name.
                let _ = symlink(target, place);
            }
            let (tool, arguments) = random_call(&mut random);
            if let Ok(shown) = trapped.call(tool, &arguments.to_string()) {
                assert!(!shown.contains(CANARY), "{tool} {arguments}: {shown}");
            }
        }
        trapped.assert_untouched();
    }
}

#[test]
fn a_link_made_between_the_look_and_the_use_leads_nowhere() {
    let trapped = Trapped::new();
    let top = trapped.path("checkout");
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let (place, spare) = (top.join("flip"), top.join("spare"));
            while !done.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&place);
                let _ = fs::remove_dir_all(&place);
                let _ = symlink("../beside", &place);
                let _ = fs::rename(&place, &spare);
                if fs::create_dir(&place).is_ok() {
                    let _ = fs::write(place.join("secret.txt"), "mine");
                }
                let _ = fs::remove_file(&spare);
            }
        });
        for _ in 0..1500 {
            for (tool, arguments) in [
                ("read_file_content", json!({ "path": "flip/secret.txt" })),
                (
                    "write_file_content",
                    json!({ "path": "flip/secret.txt", "content": "overwritten" }),
                ),
                (
                    "edit_file",
                    json!({ "path": "flip/secret.txt", "old_text": CANARY, "new_text": "x" }),
                ),
                ("delete_file", json!({ "path": "flip/secret.txt" })),
                ("write_file_content", json!({ "path": "flip/new.txt", "content": "new" })),
            ] {
                if let Ok(shown) = trapped.call(tool, &arguments.to_string()) {
                    assert!(!shown.contains(CANARY), "{tool}: {shown}");
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    trapped.assert_untouched();
}

#[test]
fn a_folder_without_permissions_is_named() {
    let trapped = Trapped::new();
    let locked = trapped.path("checkout/src");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let answer = trapped.call("read_file_content", r#"{"path": "src/lib.rs"}"#);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    // Root is not stopped by permissions.
    assert!(
        answer.as_ref().is_ok_and(|text| text.contains("fn lib"))
            || answer.unwrap_err().contains("permissions")
    );
}
