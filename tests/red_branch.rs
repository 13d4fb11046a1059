//! Where the user's check is red on the branch before anything was done: nothing
//! lands until something makes it green, and everybody is told why.

use std::fs;

use model_server::{ModelServer, Rule, Script, finish_task};

use crate::program::{code_agent, model, run};
use crate::project::Project;
use crate::replay::assert_replays_with;
use crate::scripts::{content_judge, domain, plan, write_file};

/// Two tasks: neither sees at first that the branch is red, both mend it when they
/// are told.
fn tasks() -> Vec<Rule> {
    let mut rules = vec![
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
    ];
    for (title, file) in [("Task: Write b\n", "b.txt"), ("Task: Write c\n", "c.txt")] {
        rules.push(
            Rule::worker(&[title, "Attempt: 1"])
                .turn(write_file(file, "x\n"))
                .turn(finish_task("Done.").barrier("both are done", 2)),
        );
        rules.push(
            Rule::worker(&[title, "was red already", "nobody was kind"])
                .turn(write_file(file, "x\n"))
                .turn(write_file("good.txt", "good\n"))
                .turn(finish_task("Done, and mended.")),
        );
    }
    rules.push(content_judge());
    rules
}

#[test]
fn who_mends_a_red_branch_lands_and_the_others_hear_that_it_was_not_them() {
    for strict in [&[][..], &["--check-strict"]] {
        let project = Project::new(&[("good.txt", "spoilt\n")]);
        let seen = project.beside("seen");
        fs::create_dir(&seen).unwrap();
        let check = format!(
            "test -e b.txt || test -e c.txt || echo x >> {}/looks; grep -q good good.txt || \
             {{ echo nobody was kind; exit 1; }}",
            seen.display()
        );
        let server = ModelServer::start(Script::new(tasks())).unwrap();
        let mut command = code_agent(&project);
        command.args(["--goal", "Write", "--json", "--max-workers", "2", "--check", &check]);
        command.arg("--allow-write").arg(&seen).args(strict).args(model(&server));
        let ended = run(&mut command).expect_code(0);
        assert_eq!(server.violations(), Vec::<String>::new());
        project.assert_sound();
        assert_eq!(project.git(&["ls-tree", "--name-only", "main"]), "b.txt\nc.txt\ngood.txt");
        assert_eq!(project.read("good.txt"), "good\n");
        let events = ended.events();
        let told = events.iter().filter(|event| {
            let message = event["message"].as_str().unwrap_or_default();
            event["event"] == "warning" && message.contains("red on the branch already")
        });
        assert_eq!(told.count(), 1, "once, whoever comes upon it");
        // A red by chance is none; after that, it is known.
        assert_eq!(fs::read_to_string(seen.join("looks")).unwrap().lines().count(), 2);
        // What was said then is said again.
        assert_replays_with(&project, &[&["--check", &check][..], strict].concat());
    }
}

#[test]
fn on_a_green_branch_nobody_else_is_blamed() {
    let project = Project::new(&[("good.txt", "good\n")]);
    let blamed = |attempt: &str| {
        Rule::worker(&["Task: Write b\n", attempt])
            .turn(write_file("good.txt", "spoilt\n"))
            .turn(finish_task("Done."))
    };
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write b", "b.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        blamed("Attempt: 1"),
        blamed("Attempt: 2"),
        blamed("Attempt: 3"),
        crate::scripts::writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--json", "--max-workers", "1"]);
    command.args(["--check", "grep -q good good.txt"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert!(!ended.stdout.contains("red already"), "{}", ended.stdout);
    let error: String = project.query("SELECT error FROM tasks WHERE title = 'Write b'");
    assert!(error.contains("was red on what would have landed"), "{error}");
}
