//! `code-agent plugin new`: the README leads to a plugin of one's own by the commands
//! that the program prints, and a new worker loses nothing that commands made.
//! `cargo xtask walk-through` carries the README's commands out.

use std::fs;
use std::path::Path;

use crate::program::{program, run};
use crate::project::Project;

/// Makes a plugin's folder, called `my-judge`, and returns what was printed.
fn made(project: &Project, language: &str, kind: &str) -> String {
    let mut command = program(project);
    command.args(["plugin", "new", "my-judge", "--lang", language, "--kind", kind]);
    run(command.current_dir(project.path())).expect_code(0).stdout
}

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    fs::read_to_string(path).unwrap()
}

/// The block of commands that begins so, without what is explained beside them.
fn block(text: &str, begin: &str) -> Vec<String> {
    let blocks = text.split("\n```\n").filter(|block| block.starts_with(begin));
    let [block] = blocks.collect::<Vec<_>>()[..] else { panic!("one block begins so: {begin}") };
    block.lines().map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
}

#[test]
fn the_readme_leads_to_a_judge_by_the_commands_that_are_printed() {
    let readme = readme();
    let run_it = "code-agent --plugins ";
    for language in ["rust", "python", "javascript"] {
        let project = Project::without_git();
        let new = format!("code-agent plugin new my-judge --lang {language} --kind judge");
        let printed = made(&project, language, "judge");
        let (_, printed) = printed.split_once("\n\n").unwrap();
        let told = block(&readme, &new);
        assert_eq!(told[0], new);
        assert_eq!(told[1..], printed.lines().collect::<Vec<_>>(), "{language}");

        let own = fs::read_to_string(project.path().join("my-judge/README.md")).unwrap();
        for line in printed.lines().skip(1) {
            assert!(own.contains(&format!("\n{line}")), "{line} is not in {own}");
        }
        assert_eq!(block(&own, run_it), block(&readme, run_it), "{language}");
    }
}

#[test]
fn the_version_of_rust_is_that_of_the_sdk() {
    let project = Project::without_git();
    made(&project, "rust", "judge");
    let folder = project.path().join("my-judge");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let (_, version) = manifest.split_once("rust-version = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    let own = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(own.contains(&format!("It needs Rust {version} or newer")), "{own}");
    assert!(readme().contains(&format!("in Rust ({version} or newer")));
}

#[test]
fn a_new_worker_asks_which_files_of_commands_would_be_lost() {
    for (language, file) in
        [("rust", "src/lib.rs"), ("python", "plugin.py"), ("javascript", "plugin.js")]
    {
        let project = Project::without_git();
        made(&project, language, "worker");
        let folder = project.path().join("my-judge");
        let source = fs::read_to_string(folder.join(file)).unwrap();
        assert!(source.contains("prepare(") && source.contains("include_files"), "{source}");
        // What `plugin test` plays.
        assert!(folder.join("tests/left-out.toml").is_file(), "{language}");
        if language != "rust" {
            let world = fs::read_to_string(folder.join("wit/world.wit")).unwrap();
            assert!(world.contains("import code-agent:plugin/git-write@0.1.0;"), "{world}");
        }
    }
}
