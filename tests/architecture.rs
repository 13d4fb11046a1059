//! The invariants of `host/src/lib.rs` that a compiler does not check: who
//! knows which library.

use std::fs;
use std::path::{Path, PathBuf};

/// A library and the only module that may name it.
const OWNERS: [(&str, &[&str]); 5] = [
    ("wasmtime", &["plugin"]),
    ("rusqlite", &["queue"]),
    ("git2", &["repo"]),
    ("reqwest", &["lm"]),
    ("rustls", &["lm"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_library_has_one_owner() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&top, &mut files);
    assert!(files.len() > 50, "the sources were found");
    for file in files {
        let module = file.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
        let code = fs::read_to_string(&file).unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: String = code.collect::<Vec<_>>().join("\n");
        for (library, owners) in OWNERS {
            let names =
                code.contains(&format!("{library}::")) || code.contains(&format!("use {library}"));
            let owned = owners.iter().any(|owner| module.starts_with(&format!("{owner}/")));
            assert!(owned || !names, "{module} names {library}, which belongs to {owners:?}");
        }
    }
}

#[test]
fn the_cycle_knows_only_plain_data() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cycle");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    for file in files {
        let code = fs::read_to_string(&file).unwrap();
        for module in
            ["plugin", "repo", "lm", "tools", "agent", "crew", "queue::sqlite", "RunStore"]
        {
            let named = code.contains(&format!("crate::{module}"))
                || code.contains(&format!("{module}::RunStore"));
            assert!(!named, "{} names {module}", file.display());
        }
    }
}
