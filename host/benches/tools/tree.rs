//! A tree like that of a large project: folders in folders, files of some dozen
//! lines, some that `.gitignore` names.

#![expect(clippy::disallowed_methods, reason = "a benchmark makes what it measures")]

use std::fmt::Write;
use std::fs;

use tempfile::TempDir;

use crate::{Result, folder};

/// How many files git would track, `.gitignore` included.
pub const FILES: usize = 20_000;
/// Files of a folder.
const IN_A_FOLDER: usize = 20;
/// Lines of a file.
const LINES: usize = 60;

pub fn generate() -> Result<TempDir> {
    let top = folder()?;
    fs::write(top.path().join(".gitignore"), "target/\n*.log\n")?;
    for number in 0..FILES - 1 {
        let module = number / IN_A_FOLDER;
        let folder = top.path().join(format!("crate_{}/src/module_{module}", module / 25));
        if number % IN_A_FOLDER == 0 {
            fs::create_dir_all(folder.join("target"))?;
            fs::write(folder.join("target/built.rs"), "fn unseen_77() {}\n")?;
            fs::write(folder.join("noise.log"), "fn unseen_78() {}\n")?;
        }
        fs::write(folder.join(format!("file_{number}.rs")), text(number)?)?;
    }
    Ok(top)
}

fn text(number: usize) -> Result<String> {
    let mut text = String::new();
    for line in 0..LINES {
        writeln!(
            text,
            "    let value_{line} = compute(value_{number}, {line}); // a line of {number}"
        )?;
    }
    writeln!(text, "fn work_{number}() {{}}")?;
    Ok(text)
}
