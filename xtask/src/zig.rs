//! A C compiler for components that have C in them. Machines that compile Rust
//! have one for themselves, but seldom one for wasm: zig's, from PyPI, is whole in
//! one package, with the headers of a C library. Owns fetching it and how cargo's
//! build scripts find it; what is built with it, `plugins` says.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, Result, at, failed};

/// Zig's package on PyPI.
const PACKAGE: &str = "ziglang==0.17.1";
/// Where a build script looks for the user's own compiler.
const COMPILER: &str = "CC_wasm32_unknown_unknown";

/// What a build script needs to compile C for wasm. Fetches the compiler if that
/// hasn't been done before.
pub fn environment(top: &Path) -> Result<Vec<(&'static str, OsString)>> {
    if env::var_os(COMPILER).is_some() {
        return Ok(Vec::new());
    }
    let folder = top.join("target/zig").join(PACKAGE.replace("==", "-"));
    if !folder.is_dir() {
        provide(&folder)?;
    }
    let cache = top.join("target/zig/cache");
    Ok(vec![
        (COMPILER, folder.join("cc").into()),
        ("AR_wasm32_unknown_unknown", folder.join("ar").into()),
        ("ZIG_GLOBAL_CACHE_DIR", cache.clone().into()),
        ("ZIG_LOCAL_CACHE_DIR", cache.into()),
    ])
}

/// Whether it can be fetched here: with Python and its pip.
pub fn can_be_had() -> bool {
    env::var_os(COMPILER).is_some()
        || command::succeeds(Command::new("python3").args(["-m", "pip", "--version"]))
}

/// Only what was unpacked whole gets the final name.
fn provide(folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(at("make", parent))?;
    let place = tempfile::Builder::new()
        .prefix("zig-")
        .tempdir_in(parent)
        .map_err(at("make a folder in", parent))?;
    println!("downloading {PACKAGE}, 100 MB, which has a C compiler for wasm");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]);
    pip.args(["--timeout", "60", "--retries", "10"]);
    // What an attempt left that failed is replaced.
    pip.arg("--upgrade");
    let unpacked = place.path().join("unpacked");
    command::download(pip.arg("--target").arg(&unpacked).arg(PACKAGE)).map_err(|failure| {
        failed(format!(
            "{failure}: it would have fetched a C compiler for wasm. Mend that, or name your \
             own, one that has the headers of a C library, in {COMPILER}."
        ))
    })?;
    write_wrappers(&unpacked)?;
    fs::rename(&unpacked, folder).map_err(at("rename the C compiler to", folder))
}

/// Build scripts name the target as Rust does, which zig does not know. With
/// `wasi` come the headers of a C library; what is used of the library itself is
/// in tree-sitter's crate, so that the component imports nothing of WASI.
fn write_wrappers(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let compiler = "for argument do\n\
                    shift\n\
                    case $argument in --target=*) ;; *) set -- \"$@\" \"$argument\" ;; esac\n\
                    done\n\
                    exec \"$zig\" cc -target wasm32-wasi -DNDEBUG \"$@\"\n";
    for (name, text) in [("cc", compiler), ("ar", "exec \"$zig\" ar \"$@\"\n")] {
        let wrapper = folder.join(name);
        let text = format!("#!/bin/sh\nzig=$(dirname \"$0\")/ziglang/zig\n{text}");
        fs::write(&wrapper, text).map_err(at("write", &wrapper))?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
            .map_err(at("mark", &wrapper))?;
    }
    Ok(())
}
