//! A task database that can't be written or read. Each time the run ends with a
//! sentence, and goes on once that is mended.

use std::fs;
use std::iter::successors;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use model_server::{ModelServer, Rule, Script, call, submit_verdict};
use rusqlite::Connection;
use serde_json::json;

use crate::large_run::Size;
use crate::program::{Ended, code_agent, model, resume, run};
use crate::project::Project;
use crate::watched::Watched;

/// SQLite's usual page, in bytes: <https://sqlite.org/pragma.html#pragma_page_size>.
const PAGE: usize = 4096;

/// With so much room, in blocks of 512 bytes, the run has long got to its end.
const MOST_BLOCKS: u32 = 200_000;

const SIZE: Size = Size { domains: [2, 2], tasks: 3 };

fn start(project: &Project, server: &ModelServer) -> Command {
    let mut command = code_agent(project);
    command.args(["--goal", "Take all places"]).args(model(server));
    command
}

fn database(project: &Project) -> PathBuf {
    project.path().join(".code-agent/code_agent_tasks.db")
}

/// A run that was stopped in the middle: its first cycle was judged.
fn half_done() -> Project {
    let project = SIZE.project();
    let server = ModelServer::start(SIZE.script_held_in_the_middle()).unwrap();
    let mut command = start(&project, &server);
    command.args(["--max-cycles", "5", "--max-workers", "4", "--json"]);
    let mut program = Watched::start(&mut command);
    program.until_event("cycle-ended", "");
    program.signal("INT");
    program.ended().expect_code(130);
    // Its last changes may still lie in SQLite's log; who closes the database
    // last puts them where these tests look for them.
    project.query::<u32>("SELECT count(*) FROM runs");
    assert!(!database(&project).with_extension("db-wal").exists());
    project
}

#[track_caller]
fn assert_fails(ended: Ended, words: &[&str]) {
    let ended = ended.expect_code(1);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
    }
}

fn assert_goes_on(project: &Project) {
    let server = ModelServer::start(SIZE.script()).unwrap();
    run(resume(project).args(model(&server))).expect_code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
    SIZE.assert_done_once(project);
}

/// The same call in a shell that lets no file grow over so many blocks of 512
/// bytes. The signal that comes with it is ignored, so that writes fail.
fn on_a_full_disk(command: &Command, blocks: u32) -> Command {
    let mut limited = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    limited.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    with_surroundings(limited, command)
}

/// The same call without root's right to write everywhere, so that a file's
/// permissions count for whoever runs the test.
fn without_privileges(command: &Command) -> Command {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return with_surroundings(same, command);
    }
    let mut bound = Command::new("setpriv");
    bound.arg("--bounding-set=-dac_override,-dac_read_search").arg(command.get_program());
    bound.args(command.get_args());
    with_surroundings(bound, command)
}

fn with_surroundings(mut wrapped: Command, command: &Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.current_dir(command.get_current_dir().unwrap());
    wrapped
}

#[test]
fn a_full_disk_ends_the_run_wherever_it_strikes() {
    let project = SIZE.project();
    let server = ModelServer::start(SIZE.script()).unwrap();
    // Components are compiled into files that are larger than all the rest.
    fill_the_cache(&project);
    let ended = run(&mut on_a_full_disk(&start(&project, &server), 64));
    assert_fails(ended, &["code_agent_tasks.db", "full"]);
    // With a little more room each time, it fails ever later.
    let mut failures = 0;
    let begun = |project: &Project| {
        database(project).exists()
            && Connection::open(database(project))
                .and_then(|rows| rows.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)))
                .is_ok_and(|runs: u32| runs > 0)
    };
    // By a share of it: what many workers write at their beginning fits in one day.
    let rooms = successors(Some(160), |blocks: &u32| Some(blocks + blocks / 4));
    for blocks in rooms.take_while(|blocks| *blocks < MOST_BLOCKS) {
        let command = if begun(&project) { resume(&project) } else { start(&project, &server) };
        let ended = run(&mut on_a_full_disk(&command, blocks));
        if ended.code == Some(0) {
            break;
        }
        // The database or the transcript, whichever grows first.
        assert_fails(ended, &[".code-agent/", "full"]);
        failures += u32::from(begun(&project));
    }
    assert!(failures > 0, "no run broke off in the middle");
    assert_eq!(server.violations(), Vec::<String>::new());
    SIZE.assert_done_once(&project);
}

/// Loads the components once, for a run that stops before it begins.
fn fill_the_cache(project: &Project) {
    let nobody = ModelServer::start(Script::default()).unwrap();
    let mut command = start(project, &nobody);
    let foreign = project.beside("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    let ended = run(command.arg("--database").arg(&foreign)).expect_code(2);
    assert!(ended.stderr.contains("some other program"), "{}", ended.stderr);
}

#[test]
fn a_database_that_is_read_only_ends_the_run() {
    let project = half_done();
    let set_mode = |path: PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(database(&project), 0o444);
    let ended = run(&mut without_privileges(&resume(&project)));
    assert_fails(ended, &["code_agent_tasks.db", "check its permissions"]);
    set_mode(database(&project), 0o644);

    let folder = project.path().join(".code-agent");
    set_mode(folder.clone(), 0o555);
    let ended = run(&mut without_privileges(&resume(&project)));
    assert_fails(ended, &["code_agent_tasks.db", "permissions"]);
    set_mode(folder, 0o755);
    assert_goes_on(&project);
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_run() {
    let project = half_done();
    let log = database(&project).with_extension("db-wal");
    fs::create_dir(&log).unwrap();
    assert_fails(run(&mut resume(&project)), &["code_agent_tasks.db", "can't be opened"]);
    fs::remove_dir(&log).unwrap();
    assert_goes_on(&project);
}

#[test]
fn a_database_that_is_locked_ends_the_run() {
    let project = half_done();
    let other = Connection::open(database(&project)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_fails(run(&mut resume(&project)), &["another program has it locked: close that"]);
    other.execute_batch("ROLLBACK").unwrap();
    assert_goes_on(&project);
}

#[test]
fn a_database_that_is_locked_meanwhile_ends_the_run() {
    let project = SIZE.project();
    // The judge waits until the lock is there, unless the lock has stopped the
    // run before that: each of its replies is written down.
    let held = Rule::judge(&["Cycle: 1 of 5"])
        .turn(call("list_files_recursive", json!({})).barrier("the judge is here", 2))
        .turn(call("list_files_recursive", json!({})).barrier("locked", 2))
        .turn(submit_verdict("continue", false, "More."));
    let mut script = SIZE.script();
    script.rules.insert(0, held);
    let server = ModelServer::start(script).unwrap();
    let mut command = start(&project, &server);
    let program = Watched::start(&mut command);
    server.meet("the judge is here", 2).unwrap();
    let other = Connection::open(database(&project)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // It waits there in vain where the run has ended.
    std::thread::spawn(move || server.meet("locked", 2));
    assert_fails(program.ended(), &["another program has it locked: close that"]);
    other.execute_batch("ROLLBACK").unwrap();

    let server = ModelServer::start(SIZE.script()).unwrap();
    run(resume(&project).args(model(&server))).expect_code(0);
    SIZE.assert_done_once(&project);
}

#[test]
fn a_damaged_database_ends_the_run() {
    let project = half_done();
    let path = database(&project);
    let whole = fs::read(&path).unwrap();
    let overwritten = |page: usize| {
        let mut bytes = whole.clone();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0xaa);
        bytes
    };
    let mut damages: Vec<Vec<u8>> = (0..whole.len() / PAGE).map(overwritten).collect();
    assert!(damages.len() > 10, "the tables have many pages");
    damages.push(whole[..whole.len() / 2].to_vec());
    for (number, damage) in damages.iter().enumerate() {
        fs::write(&path, damage).unwrap();
        let ended = run(&mut resume(&project));
        println!("damage {number}");
        assert_fails(ended, &["it is damaged: restore it or name another file with --database"]);
        for ending in ["db-wal", "db-shm"] {
            let _ = fs::remove_file(path.with_extension(ending));
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_goes_on(&project);
}
