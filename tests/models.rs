//! Which model each role asks, where that is written, and that no key is ever
//! written anywhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model_server::{ModelServer, Role};

use crate::program::{code_agent, model, run};
use crate::project::Project;
use crate::scripts::b_and_c;

const KEY: &str = "sk-only-for-the-server-0123456789";

fn server() -> ModelServer {
    ModelServer::start(b_and_c()).unwrap()
}

fn configure(project: &Project, text: &str) {
    let path = project.beside("config/code-agent/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Whether any file below `folder` holds `text`.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn each_role_asks_its_own_model() {
    let project = Project::new(&[("a.txt", "a\n")]);
    configure(
        &project,
        "[models.judge]\nmodel = 'openai:wise'\n[models.worker]\nmodel = 'openai:no'\n",
    );
    let server = server();
    let mut command = code_agent(&project);
    command.args([
        "--goal",
        "Write",
        "--model",
        "planner=openai:far",
        "--model",
        "worker=openai:small",
    ]);
    run(command.args(model(&server))).expect_code(0);
    let requests = server.requests();
    for (role, name) in [
        (Role::MainPlanner, "far"),
        (Role::SubPlanner, "far"),
        (Role::Worker, "small"),
        (Role::Judge, "wise"),
    ] {
        let mut models = requests.iter().filter(|request| request.role == Some(role)).peekable();
        assert!(models.peek().is_some(), "{role:?} asked");
        assert!(models.all(|request| request.model == name), "{role:?}");
    }
    let stored: String = project.query("SELECT options FROM runs");
    assert!(stored.contains("openai:small") && stored.contains("openai:wise"), "{stored}");
    let told: String = project.query("SELECT body FROM events WHERE kind = 'run-started'");
    assert!(told.contains("far, small, wise"), "{told}");
}

#[test]
fn a_key_of_the_users_config_is_used_and_written_nowhere() {
    let project = Project::new(&[("a.txt", "a\n")]);
    configure(&project, &format!("[keys]\nopenai = '{KEY}'\n"));
    let server = server();
    for format in ["--log-level=trace", "--json"] {
        let mut command = code_agent(&project);
        command.env_remove("OPENAI_API_KEY").args(["--goal", "Write", format]).args(model(&server));
        let ended = run(&mut command);
        assert!(!ended.stdout.contains(KEY) && !ended.stderr.contains(KEY));
        ended.expect_code(0);
    }
    assert!(server.requests().iter().all(|request| request.authorized), "the key was sent");
    assert!(!holds(&project.path(), KEY), "no file of the project has it");
    assert!(!holds(&project.beside("cache"), KEY), "nor of the cache");
    assert!(holds(&project.beside("config"), KEY), "the search finds what is there");
}

#[test]
fn a_file_of_the_repository_gives_no_keys_addresses_models_or_prices() {
    for text in [
        format!("[keys]\nopenai = '{KEY}'\n"),
        "api-base = 'http://elsewhere'\n".to_owned(),
        "[models.worker]\napi-base = 'http://elsewhere'\n".to_owned(),
        "[prices.scripted]\ninput = 0\noutput = 0\n".to_owned(),
        "max-workers = 900\n".to_owned(),
    ] {
        let project = Project::new(&[("a.txt", "a\n"), (".code-agent.toml", &text)]);
        let before = project.fingerprint();
        let server = server();
        let mut command = code_agent(&project);
        command.args(["--goal", "Write"]).args(model(&server));
        let ended = run(&mut command).expect_code(2);
        assert!(ended.stderr.contains(".code-agent.toml"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(KEY), "{}", ended.stderr);
        assert_eq!(project.fingerprint(), before);
        assert_eq!(server.requests().len(), 0, "no model was asked");
    }
}

#[test]
fn bounds_come_from_flags_then_the_users_then_the_projects_config() {
    let files = [
        ("a.txt", "a\n"),
        (".code-agent.toml", "max-workers = 2\nmax-cycles = 3\nmax-time = '1h'\n"),
    ];
    let project = Project::new(&files);
    configure(&project, "max-cycles = 4\nmax-time = '30m'\n");
    let server = server();
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--max-time", "10m"]).args(model(&server));
    run(&mut command).expect_code(0);
    let stored: String = project.query("SELECT options FROM runs");
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert_eq!((&stored["max_workers"], &stored["max_cycles"]), (&2.into(), &4.into()));
    assert_eq!(stored["max_time"]["secs"], 600);
}

#[test]
fn a_misspelt_role_or_key_is_named_with_the_right_one() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let mut command = code_agent(&project);
    command.args(["--goal", "Write", "--model", "wroker=vllm:"]);
    let ended = run(&mut command).expect_code(2);
    assert!(ended.stderr.contains("did you mean `worker`?"), "{}", ended.stderr);
    configure(&project, "[models.worker]\ntemprature = 1\n");
    let mut command = code_agent(&project);
    let ended = run(command.args(["--goal", "Write"])).expect_code(2);
    assert!(ended.stderr.contains("did you mean `temperature`?"), "{}", ended.stderr);
}
