//! Commands behind their walls, by real programs: what has to fail fails, what
//! developers do works, and the host goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_agent::sandbox::{Abilities, Access, Ran, Sandbox, probe, run};
use tempfile::TempDir;

const TIME: Duration = Duration::from_secs(60);

/// A machine with a checkout, a temporary folder and things that are nobody's
/// business.
struct World {
    folder: TempDir,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Self {
        Self::with(Access::default(), true)
    }

    fn with(access: Access, namespaces: bool) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["checkout", "temporary", "home/.ssh", "other"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("home/.ssh/id_rsa"), "PRIVATE").unwrap();
        fs::write(folder.path().join("other/file"), "OTHER").unwrap();
        let sandbox = Sandbox {
            helper: PathBuf::from(env!("CARGO_BIN_EXE_code-agent")),
            access,
            abilities: Some(Abilities { namespaces, without: None }),
        };
        Self { folder, sandbox }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, command: &str) -> Ran {
        self.run_for(command, TIME).await
    }

    async fn run_for(&self, command: &str, time: Duration) -> Ran {
        let (checkout, temporary) = (self.path("checkout"), self.path("temporary"));
        run(&self.sandbox, &checkout, &temporary, command, time).await.unwrap()
    }
}

#[tokio::test]
async fn a_command_runs() {
    let world = World::new();
    let ran = world.run("echo out; echo err >&2; id -u; pwd; ls /; ls -la; exit 3").await;
    println!("{ran:?}");
    assert_eq!(ran.exit_code, Some(3));
    let shown = world.sandbox.helper.clone();
    let found = probe(&shown, &Access::default(), world.folder.path()).await.unwrap();
    println!("{found:?}");
}
