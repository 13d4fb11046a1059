//! What a tool has replaced can be brought back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model_server::{ModelServer, Rule, Script, call, finish_task};
use serde_json::json;

use crate::program::{Ended, code_agent, model, program, run};
use crate::project::Project;
use crate::scripts::{content_judge, domain, plan, write_file, writer};

fn restore(project: &Project, arguments: &[&str]) -> Ended {
    run(program(project).arg("restore").args(arguments))
}

#[test]
fn what_write_file_content_replaced_comes_back() {
    let project = Project::new(&[("a.txt", "precious\n"), ("b.txt", "b\n")]);
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write a", "a.txt")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Write a\n"])
            .turn(write_file("a.txt", "draft\n"))
            .turn(write_file("a.txt", "final\n").expects(&["code-agent restore "]))
            .turn(finish_task("Done.")),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    run(command.args(["--goal", "Write"]).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());

    let listed = restore(&project, &["--json"]).expect_code(0).events();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let blob = |index: usize| listed[index]["blob_id"].as_str().unwrap().to_owned();
    assert!(listed.iter().all(|file| file["path"] == "a.txt"));
    assert!(restore(&project, &[]).expect_code(0).stdout.contains(&blob(0)[..10]));
    // The draft was never in any commit.
    let draft = restore(&project, &[&blob(0)[..8], "--to", "-"]).expect_code(0);
    assert_eq!(draft.stdout, "draft\n");

    let refused = restore(&project, &[&blob(1)]).expect_code(2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(project.read("a.txt"), "final\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = project.path().join("a.txt");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    restore(&project, &[&blob(1), "--force"]).expect_code(0);
    assert_eq!(project.read("a.txt"), "precious\n");
    assert_eq!(mode(&place), 0o755, "as what was there");
    let beside = project.beside("elsewhere/a.txt");
    restore(&project, &[&blob(1), "--to", beside.to_str().unwrap()]).expect_code(0);
    assert_eq!(fs::read_to_string(&beside).unwrap(), "precious\n");
    let usual = project.beside("usual");
    fs::write(&usual, "").unwrap();
    assert_eq!(mode(&beside), mode(&usual), "as any new file");
    let unknown = restore(&project, &["0123456"]).expect_code(2);
    assert!(unknown.stderr.contains("see `code-agent restore`"), "{}", unknown.stderr);
}

#[test]
fn nothing_comes_back_to_where_a_link_leads() {
    let project = Project::new(&[("a.txt", "a\n"), ("conf/in/keys", "old\n")]);
    let home = project.beside("home");
    fs::create_dir_all(home.join("in")).unwrap();
    let line = format!("rm -r conf && ln -s {} conf", home.display());
    let server = ModelServer::start(Script::new([
        plan(&["one", "two"]),
        domain("one", &[("Write keys", "conf")]),
        domain("two", &[("Write c", "c.txt")]),
        Rule::worker(&["Task: Write keys\n"])
            .turn(write_file("conf/in/keys", "new\n"))
            .turn(call("run_command", json!({ "command": line })))
            .turn(finish_task("Done.").expects(&["exit code 0"])),
        writer("Write c", "c.txt", "c\n"),
        content_judge(),
    ]))
    .unwrap();
    let mut command = code_agent(&project);
    run(command.args(["--goal", "Write"]).args(model(&server))).expect_code(0);
    assert!(project.path().join("conf").is_symlink());
    let listed = restore(&project, &["--json"]).expect_code(0).events();
    let blob = listed[0]["blob_id"].as_str().unwrap();
    for arguments in [&[blob][..], &[blob, "--force"]] {
        let refused = restore(&project, arguments).expect_code(2);
        assert!(refused.stderr.contains("conf is a link now"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--to"), "{}", refused.stderr);
    }
    assert!(!home.join("in/keys").exists());
    let place = home.join("in/keys");
    restore(&project, &[blob, "--to", place.to_str().unwrap()]).expect_code(0);
    assert_eq!(fs::read_to_string(place).unwrap(), "old\n");
}
