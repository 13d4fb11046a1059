//! What developers do works behind walls: caches, cargo, pytest.

use std::fs;
use std::path::PathBuf;

use code_agent::sandbox::Access;

use super::{World, intruder};

#[tokio::test]
async fn what_tools_keep_at_home_is_there_for_the_next_command() {
    for mut world in World::both() {
        assert_eq!(world.run("mkdir ~/.cache && echo warm > ~/.cache/x").await.exit_code, Some(0));
        assert_eq!(world.run("cat ~/.cache/x").await.output, "warm\n");
        let ran = world.run("touch $CARGO_HOME/registry/x").await;
        World::assert_refused(&ran, "the user's packages are read alone");
        // Where a setup command fills them, they are its own.
        world.sandbox.own_caches = true;
        world.policy = world.sandbox.policy(&world.policy.folders);
        let ran = world.run("mkdir -p $CARGO_HOME/registry && touch $CARGO_HOME/registry/x").await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        assert!(world.path("home/.cargo/registry/x").exists());
    }
    let ran = World::new(true).run(&intruder("terminal")).await;
    assert_eq!(ran.output, "seen\n", "programs may have terminals of their own: {ran:?}");
}

fn write(world: &World, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = world.path("checkout").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn cargo_tests_a_project_and_finds_its_cache_warm() {
    for namespaces in [true, false] {
        // Outside of this repository, whose settings cargo would look for.
        let folder = tempfile::tempdir().unwrap();
        let world = World::of(folder, Access::default(), namespaces);
        write(
            &world,
            &[
                ("Cargo.toml", "[package]\nname = \"small\"\nedition = \"2024\"\n[workspace]\n"),
                (
                    "src/lib.rs",
                    "#[test]\nfn adds() {\n    let file = std::env::temp_dir().join(\"x\");\n    \
                     std::fs::write(&file, \"2\").unwrap();\n    assert_eq!(1 + 1, 2);\n}\n",
                ),
            ],
        );
        let cold = world.run("cargo test 2>&1").await;
        assert_eq!(cold.exit_code, Some(0), "{cold:?}");
        assert!(
            cold.output.contains("Compiling small") && cold.output.contains("1 passed"),
            "{cold:?}"
        );
        let warm = world.run("cargo test 2>&1").await;
        assert!(!warm.output.contains("Compiling") && warm.output.contains("1 passed"), "{warm:?}");
    }
}

/// A Python with pytest, made once for all tests; none where there is no Python.
fn python_with_pytest() -> Option<PathBuf> {
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pytest/bin/python");
    if python.with_file_name("pytest").exists() {
        return Some(python);
    }
    let folder = python.parent().unwrap().parent().unwrap();
    let made = std::process::Command::new("python3").args(["-m", "venv"]).arg(folder).status();
    if !made.is_ok_and(|made| made.success()) {
        return None;
    }
    let mut install = std::process::Command::new(&python);
    let installed = install.args(["-m", "pip", "install", "--quiet", "pytest"]).status().unwrap();
    assert!(installed.success(), "pytest could not be installed");
    Some(python)
}

#[tokio::test]
async fn pytest_tests_a_project() {
    let Some(python) = python_with_pytest() else {
        println!("left out: there is no python3 with venv on this machine");
        return;
    };
    let readable = vec![python.parent().unwrap().parent().unwrap().to_owned()];
    for namespaces in [true, false] {
        let world =
            World::with(Access { readable: readable.clone(), ..Access::default() }, namespaces);
        let test =
            "def test_it(tmp_path):\n    (tmp_path / 'x').write_text('2')\n    assert 1 + 1 == 2\n";
        write(&world, &[("test_small.py", test)]);
        let ran = world.run(&format!("{} -m pytest -q", python.display())).await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        assert!(ran.output.contains("1 passed"), "{ran:?}");
        assert!(world.path("checkout/.pytest_cache").exists(), "its cache is kept");
    }
}
