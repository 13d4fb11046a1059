//! The contract's promise: a component that was built against its first text goes
//! on working, in every role and as a tool.

use std::fs;

use model_server::{ModelServer, Rule, Script, call, text};
use serde_json::json;

use crate::program::{bare, frozen_component, model, program, run};
use crate::project::Project;

#[test]
fn a_component_of_the_first_contract_does_a_whole_run() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let component = frozen_component();
    let mut manifest = String::new();
    for role in ["main-planner", "sub-planner", "worker", "merger", "judge"] {
        manifest += &format!(
            "[plugins.{role}]\ncomponent = {component:?}\nrole = \"{role}\"\nsettings = {{ greeting = \"hello\" }}\n"
        );
    }
    manifest += &format!("[plugins.echo]\ncomponent = {component:?}\ntool = true\n");
    let plugins = project.beside("plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::write(plugins.join("plugins.toml"), manifest).unwrap();
    let rule = Rule::new(None, &["Freeze"])
        .turn(call("frozen_echo", json!({ "text": "hi" })))
        .turn(text("Enough.").expects(&["Answered."]));
    let server = ModelServer::start(Script::new([rule])).unwrap();

    let mut command = bare(&project);
    command.arg("--plugins").arg(&plugins).args(["--goal", "Freeze"]).args(model(&server));
    let ended = run(&mut command).expect_code(0);
    assert!(ended.stderr.contains("All of 0.1.0 works"), "{}", ended.stderr);
    assert_eq!(project.read("frozen.txt"), "two\n");
    project.assert_sound();

    let checked = run(program(&project).args(["plugin", "check"]).arg(&component)).expect_code(0);
    assert!(checked.stdout.contains("main-planner"), "{}", checked.stdout);
}
