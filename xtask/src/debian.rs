//! The second route to the wasm target: Debian's newest compiler with its
//! source, unpacked below `target/` and never installed, builds the standard
//! library for wasm itself. Only the linker comes from rustup's toolchain.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{self, Result, at, failed};
use crate::target::{self, TARGET, Toolchain};

/// The library that has the compiler in it belongs to a package with the
/// version in its name; `apt-cache` tells which.
const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// The compiler's wrapper, in the folder of the unpacked packages.
const WRAPPER: &str = "rustc";

/// The toolchain, unpacked and tried if that hasn't been done before.
pub fn toolchain(top: &Path) -> Result<Toolchain> {
    let folder = top.join("target/wasm-toolchain");
    if !folder.is_dir() {
        provide(&folder)?;
    }
    settings(&folder)
}

/// Only what was unpacked whole and compiled something gets the final name.
fn provide(folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(at("make", parent))?;
    let place = tempfile::Builder::new()
        .prefix("wasm-toolchain-")
        .tempdir_in(parent)
        .map_err(at("make a folder in", parent))?;
    let packages = place.path().join("packages");
    let unpacked = place.path().join("unpacked");
    for made in [&packages, &unpacked] {
        fs::create_dir(made).map_err(at("make", made))?;
    }
    download(&packages)?;
    unpack(&packages, &unpacked)?;
    write_wrapper(&unpacked)?;
    try_out(&unpacked, &place.path().join("trial"))?;
    fs::rename(&unpacked, folder).map_err(at("rename the toolchain to", folder))
}

fn download(folder: &Path) -> Result<()> {
    // Only once: it is new lists that help.
    let Err(failure) = fetch(folder, command::run) else { return Ok(()) };
    // The lists of packages may be missing, or older than the server's packages.
    println!("{failure}: updating apt's lists of packages");
    command::download(Command::new("apt-get").arg("update"))?;
    // Some packages may have come, in versions that the new lists don't have any more:
    // they would be unpacked, too, over their newer selves.
    fs::remove_dir_all(folder).map_err(at("empty", folder))?;
    fs::create_dir(folder).map_err(at("make", folder))?;
    fetch(folder, command::download)
}

fn fetch(folder: &Path, run: fn(&mut Command) -> Result<()>) -> Result<()> {
    let names = package_names()?;
    println!("downloading {}", names.join(", "));
    run(Command::new("apt-get").arg("download").args(names).current_dir(folder))
}

/// [`PACKAGES`], the library with the compiler in it, and what that needs and
/// this machine doesn't have (LLVM).
fn package_names() -> Result<Vec<String>> {
    // The words that are looked for below would be translated otherwise.
    let plain = |program: &str| {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        command
    };
    let depends = command::capture(plain("apt-cache").args(["depends", PACKAGES[1]]))?;
    let library = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("libstd-rust-web-"))
        .ok_or_else(|| failed(format!("the package {} names no compiler", PACKAGES[1])))?;
    let arguments = ["--simulate", "--no-install-recommends", "install", library];
    let simulated = command::capture(plain("apt-get").args(arguments))?;
    let missing = simulated
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<String> =
        PACKAGES.into_iter().chain([library]).chain(missing).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn unpack(packages: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(packages).map_err(at("read", packages))? {
        let package = entry.map_err(at("read", packages))?.path();
        command::run(Command::new("dpkg").arg("-x").arg(package).arg(folder))?;
    }
    Ok(())
}

/// The compiler finds its own libraries only through `LD_LIBRARY_PATH`. Set for
/// cargo as a whole, that would reach rustup's programs too, hence a wrapper.
fn write_wrapper(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let libraries = library_folder(folder)?;
    let text = format!(
        "#!/bin/sh\n\
         here=$(dirname \"$0\")\n\
         LD_LIBRARY_PATH=\"$here/{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n\
         export LD_LIBRARY_PATH\n\
         exec \"$here/usr/bin/rustc\" \"$@\"\n"
    );
    let wrapper = folder.join(WRAPPER);
    fs::write(&wrapper, text).map_err(at("write", &wrapper))?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).map_err(at("mark", &wrapper))
}

/// Where the compiler's library lies, below `folder`: its path has the name of
/// the machine's architecture in it.
fn library_folder(folder: &Path) -> Result<String> {
    let all = folder.join("usr/lib");
    for entry in fs::read_dir(&all).map_err(at("read", &all))? {
        let candidate = entry.map_err(at("read", &all))?;
        let Ok(names) = fs::read_dir(candidate.path()) else { continue };
        let is_compiler = |name: OsString| name.to_string_lossy().starts_with("librustc_driver");
        if names.flatten().any(|name| is_compiler(name.file_name())) {
            return Ok(format!("usr/lib/{}", candidate.file_name().to_string_lossy()));
        }
    }
    Err(failed("the packages hold no librustc_driver"))
}

fn settings(folder: &Path) -> Result<Toolchain> {
    let tools = target::sysroot()?.join("lib/rustlib").join(target::host()?).join("bin");
    if !tools.join("wasm-component-ld").is_file() {
        return Err(failed(format!(
            "rustup's toolchain has no wasm-component-ld in {}",
            tools.display()
        )));
    }
    let mut path: Vec<PathBuf> = vec![tools.join("gcc-ld"), tools];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path =
        env::join_paths(path).map_err(|error| failed(format!("can't extend PATH: {error}")))?;
    Ok(Toolchain {
        environment: vec![
            ("RUSTC", folder.join(WRAPPER).into()),
            // Building the standard library is a nightly feature of cargo and
            // of the compiler.
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("PATH", path),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld".into()),
        ],
        arguments: vec!["-Zbuild-std=std,panic_abort"],
        native: false,
    })
}

/// Compiles a tiny component: compiler, source and linker have to fit together.
/// It does without `std`, which takes a minute and is built again for the
/// components.
fn try_out(folder: &Path, trial: &Path) -> Result<()> {
    println!("trying the toolchain on a tiny component");
    let source = trial.join("src");
    fs::create_dir_all(&source).map_err(at("make", &source))?;
    let manifest = "[package]\nname = \"trial\"\nedition = \"2024\"\n\
                    [lib]\ncrate-type = [\"cdylib\"]\n\
                    [profile.release]\npanic = \"abort\"\n[workspace]\n";
    let library = "#![no_std]\n\
                   #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
                   #[unsafe(no_mangle)]\npub extern \"C\" fn twice(number: u32) -> u32 { number * 2 }\n";
    let write = |path: PathBuf, text: &str| fs::write(&path, text).map_err(at("write", &path));
    write(trial.join("Cargo.toml"), manifest)?;
    write(source.join("lib.rs"), library)?;

    let toolchain = Toolchain { arguments: vec!["-Zbuild-std=core"], ..settings(folder)? };
    let mut build = target::cargo(&toolchain, "build");
    build.args(["--release", "--quiet", "--target-dir", "target"]).current_dir(trial);
    command::run(build.stdout(Stdio::inherit()))?;
    let built = trial.join("target").join(TARGET).join("release/trial.wasm");
    let bytes = fs::read(&built).map_err(at("read", &built))?;
    // A component has layer 1 after the format's version, a plain module 0:
    // https://github.com/WebAssembly/component-model, design/mvp/Binary.md
    if bytes.get(..8) == Some(b"\0asm\x0d\0\x01\0") {
        return Ok(());
    }
    Err(failed("the linker made something that is no component"))
}
