//! Commands behind their walls, by real programs: what has to fail fails, what
//! developers do works, and the host goes on.

mod ends;
mod projects;
mod walls;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use code_agent::sandbox::{
    Abilities, Access, Folders, Job, Policy, Ran, Sandbox, probe, run_under,
};
use tempfile::TempDir;

/// Far longer than any command here takes.
const TIME: Duration = Duration::from_secs(120);

/// A machine with a checkout, a temporary folder, and things beside them that
/// are nobody's business.
struct World {
    folder: TempDir,
    sandbox: Sandbox,
    policy: Policy,
}

impl World {
    fn new(namespaces: bool) -> Self {
        Self::with(Access::default(), namespaces)
    }

    fn with(access: Access, namespaces: bool) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self::of(folder, access, namespaces)
    }

    fn of(folder: TempDir, mut access: Access, namespaces: bool) -> Self {
        access.readable.push(programs());
        for name in ["user/.ssh", "another-slot"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("user/.ssh/id_rsa"), "PRIVATE").unwrap();
        fs::write(folder.path().join("another-slot/file"), "PRIVATE").unwrap();
        let sandbox = Sandbox {
            helper: PathBuf::from(env!("CARGO_BIN_EXE_code-agent")),
            access,
            own_caches: false,
            abilities: Some(Abilities { namespaces, without: None }),
        };
        let policy = sandbox.policy(&Folders::below(folder.path()).unwrap());
        Self { folder, sandbox, policy }
    }

    /// Both kinds of walls: with namespaces, and where a kernel has none.
    fn both() -> [Self; 2] {
        [Self::new(true), Self::new(false)]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, command: &str) -> Ran {
        self.run_for(command, TIME).await
    }

    async fn run_for(&self, command: &str, time: Duration) -> Ran {
        run_under(&self.sandbox, &self.policy, self.job(command, time)).await.unwrap()
    }

    fn job(&self, command: &str, time: Duration) -> Job {
        Job {
            command_line: command.to_owned(),
            folders: self.policy.folders.clone(),
            time,
            hold: Box::new(()),
        }
    }

    fn clear_temporary(&self) {
        fs::remove_dir_all(self.path("temporary")).unwrap();
        fs::create_dir(self.path("temporary")).unwrap();
    }

    /// That a command fails, and says nothing that is private.
    #[track_caller]
    fn assert_refused(ran: &Ran, what: &str) {
        assert!(ran.exit_code != Some(0) && !ran.output.contains("PRIVATE"), "{what}: {ran:?}");
    }
}

/// The hostile program's command line; it is built along with this one.
fn intruder(what: &str) -> String {
    let program = programs().join("examples/intruder");
    assert!(program.exists(), "build the examples first, as `cargo test` does");
    format!("{} {what}", program.display())
}

/// The folder that this test's programs are built into.
fn programs() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_code-agent")).parent().unwrap().to_owned()
}

#[tokio::test]
async fn a_command_says_and_ends_what_it_likes() {
    for world in World::both() {
        let ran = world.run("echo out; echo err >&2; exit 3").await;
        let expected = Ran {
            exit_code: Some(3),
            output: "out\nerr\n".into(),
            timed_out: false,
            stopped: None,
        };
        assert_eq!(ran, expected);
        let ran = world.run("kill -TERM $$").await;
        assert_eq!(ran.exit_code, Some(128 + 15));
        let ran = world.run("touch made && mkdir -p ~/x && touch $TMPDIR/t && echo $HOME").await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        assert!(world.path("checkout/made").exists() && world.path("temporary/t").exists());
    }
    let found = probe(
        &PathBuf::from(env!("CARGO_BIN_EXE_code-agent")),
        &Access::default(),
        &PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    )
    .await
    .unwrap();
    println!("this machine: {:?}", found.abilities);
}

#[tokio::test]
async fn what_the_user_allows_is_there() {
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(outside.path().join("file"), "SHARED").unwrap();
    let shown = outside.path().canonicalize().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for namespaces in [true, false] {
        let readable = Access { readable: vec![shown.clone()], ..Access::default() };
        let world = World::with(readable, namespaces);
        let path = shown.join("file").display().to_string();
        assert_eq!(world.run(&format!("cat {path}")).await.output, "SHARED");
        World::assert_refused(&world.run(&format!("echo x > {path}")).await, "write");

        let writable = Access { writable: vec![shown.clone()], network: true, ..Access::default() };
        let world = World::with(writable, namespaces);
        let ran = world.run(&format!("cat {path} && echo -n SHARED > {path}")).await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
        let ran = world.run(&intruder(&format!("tcp 127.0.0.1:{port}"))).await;
        assert_eq!(ran.exit_code, Some(0), "{ran:?}");
    }
}
