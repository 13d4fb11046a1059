//! From nothing to a run in which a judge of one's own decides, as a new user
//! does it: the commands of the top README.md, which have to be those that `plugin
//! new` prints, and `plugin check`, for each language from an empty folder and with
//! empty caches of the program's own. Prints each command with its time, and fails
//! where one fails. What the model says is scripted; what the judge says is not.
//! The compiler and the wasm target for the default plugins are there before.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::command::{self, Failure, Result, at, failed};
use crate::demo::{self, project, server};
use crate::guests::{self, Language};
use crate::plugins;
use crate::target::{self, Choice};

/// The new plugin's name.
const NAME: &str = "my-judge";
/// What the judge says of the line that cycle 1 leaves.
const LEFT_IN_CYCLE_1: &str = "hello.txt:2";

/// What the steps need, whatever the language.
struct Setting {
    top: PathBuf,
    /// Has the compiler's variables, and code-agent's folder first in PATH.
    environment: Vec<(String, OsString)>,
    /// Where the scripted model listens.
    model: String,
    /// The top README.md.
    readme: String,
    /// Whether the wasm target is rustup's.
    has_rustup: bool,
}

/// One command and how long it took.
struct Step {
    line: String,
    seconds: f64,
}

/// The languages, and what has to be there beside cargo.
const LANGUAGES: [(&str, Option<Language>); 3] = [
    ("rust", None),
    ("python", Some(Language::Python)),
    ("javascript", Some(Language::JavaScript)),
];

/// What `cargo xtask walk-through` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the wasm target comes from.
    pub toolchain: Choice,
    /// Only this language.
    pub language: Option<String>,
    /// A code-agent that is built already, with the model-server beside it and the
    /// default plugins in their places; else all of these are built.
    pub program: Option<PathBuf>,
}

impl Options {
    /// Refuses a language that nothing is known of.
    pub fn checked(self) -> Result<Self> {
        let known = LANGUAGES.map(|(language, _)| language);
        match &self.language {
            Some(language) if !known.contains(&language.as_str()) => {
                Err(Failure::Usage(format!("{language} is none of {}", known.join(", "))))
            }
            _ => Ok(self),
        }
    }
}

/// Walks through the languages that can be had here.
pub fn run(top: &Path, options: &Options) -> Result<()> {
    let toolchain = match &options.program {
        Some(_) => target::find(top, options.toolchain)?,
        None => plugins::build(top, options.toolchain)?,
    };
    let (program, server) = programs(top, options)?;
    let server = server::start(&server, &top.join("xtask/walk-through/script.toml"))?;
    let environment = environment(target::environment(&toolchain), &program)?;
    let readme = top.join("README.md");
    let setting = Setting {
        top: top.to_path_buf(),
        environment,
        model: server.address.clone(),
        readme: fs::read_to_string(&readme).map_err(at("read", &readme))?,
        has_rustup: toolchain.native && command::succeeds(Command::new("rustup").arg("--version")),
    };
    let is_wanted = |language: &str| options.language.as_deref().is_none_or(|one| one == language);
    for (language, needs) in LANGUAGES {
        if !is_wanted(language) {
            continue;
        }
        match needs.and_then(guests::missing) {
            Some(words) => println!("LEFT OUT: {language}, since {words} is missing here"),
            None => report(language, &walk(&setting, language)?),
        }
    }
    Ok(())
}

/// The program and the scripted model's server.
fn programs(top: &Path, options: &Options) -> Result<(PathBuf, PathBuf)> {
    let Some(program) = &options.program else {
        return Ok((demo::built(top, "code-agent")?, demo::built(top, "model-server")?));
    };
    let program = program.canonicalize().map_err(at("find the program", program))?;
    let server = program.with_file_name("model-server");
    Ok((program, server))
}

/// Lets a shell find the program by its name, before all that it finds otherwise.
fn environment(
    mut variables: Vec<(String, OsString)>,
    program: &Path,
) -> Result<Vec<(String, OsString)>> {
    let compilers = variables.iter().find(|(name, _)| name == "PATH");
    let others = compilers.map(|(_, path)| path.clone()).or_else(|| env::var_os("PATH"));
    let others = others.unwrap_or_default();
    let folder = program.parent().map(Path::to_path_buf).unwrap_or_default();
    let path = env::join_paths(std::iter::once(folder).chain(env::split_paths(&others)))
        .map_err(|error| failed(format!("can't extend PATH: {error}")))?;
    variables.retain(|(name, _)| name != "PATH");
    variables.push(("PATH".to_owned(), path));
    Ok(variables)
}

fn report(language: &str, steps: &[Step]) {
    println!("\nFrom nothing to a judge in {language}:");
    for Step { line, seconds } in steps {
        println!("{seconds:8.1} s  {line}");
    }
    let all: f64 = steps.iter().map(|step| step.seconds).sum();
    println!("{all:8.1} s  in all\n");
}

fn walk(setting: &Setting, language: &str) -> Result<Vec<Step>> {
    let folder = setting.top.join("target/walk-through").join(language);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(at("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(at("make", &folder))?;
    let mut steps = Vec::new();

    let new = format!("code-agent plugin new {NAME} --lang {language} --kind judge");
    let lines = block(&setting.readme, &new)?;
    let printed = step(setting, &folder, &folder, &new, &mut steps)?;
    let commands = same(&lines, told(&printed)?)?;
    let plugin = folder.join(NAME);
    for line in commands {
        if line.starts_with("rustup ") && !setting.has_rustup {
            println!("LEFT OUT: {line}, since the target comes from elsewhere here");
            continue;
        }
        step(setting, &folder, &plugin, line, &mut steps)?;
    }
    let component = component(&plugin)?;
    let line = format!("code-agent plugin check {component}");
    step(setting, &folder, &plugin, &line, &mut steps)?;

    let root = folder.join("project");
    project::new(&root, &[("README.md", "It has yet to say hello.\n")])?;
    let line = format!(
        "{} --branch main --max-cycles 3 --model openai:scripted --api-base {}",
        run_told(&setting.readme, &setting.top.join("plugins"))?,
        setting.model,
    );
    step(setting, &folder, &plugin, &line, &mut steps)?;
    decided(setting, &folder, &root)?;
    Ok(steps)
}

/// The lines of the README's block that begins with this command, without what is
/// explained beside them.
fn block(readme: &str, begin: &str) -> Result<Vec<String>> {
    let block = readme.split("\n```\n").find(|block| block.starts_with(begin));
    let block = block.ok_or_else(|| failed(format!("README.md has no block `{begin} …`")))?;
    let bare = |line: &str| line.split("  #").next().unwrap_or_default().trim().to_owned();
    Ok(block.lines().map(bare).collect())
}

/// The commands in the new folder, if the README tells those that were printed, but
/// for the step into it, which a child process can't take for us.
fn same<'a>(readme: &'a [String], printed: Vec<&str>) -> Result<&'a [String]> {
    match readme {
        [_, told @ ..] if told == printed.as_slice() => match told {
            [first, commands @ ..] if first.starts_with("cd ") => Ok(commands),
            _ => Err(failed(format!("the README does not step into the folder: {told:?}"))),
        },
        _ => Err(failed(format!(
            "the README tells {readme:?}, and `plugin new` goes on with {printed:?}"
        ))),
    }
}

/// The command for a run that the README tells, with what a user puts in the place
/// of its examples.
fn run_told(readme: &str, plugins: &Path) -> Result<String> {
    let told = block(readme, "code-agent --plugins ")?.join(" ").replace("\\ ", "");
    let filled = told
        .replace("/path/to/the/default/plugins", &plugins.display().to_string())
        .replace("/path/to/your/project", "../project")
        .replace("\"…\"", "'Say hello in two languages'");
    if filled.contains("/path/to/") || filled.contains('…') {
        return Err(failed(format!("README.md names a place that is not known: {told}")));
    }
    Ok(filled)
}

/// The commands that `plugin new` printed: all lines after the empty one.
fn told(printed: &str) -> Result<Vec<&str>> {
    match printed.split_once("\n\n") {
        Some((_, told)) => Ok(told.lines().collect()),
        None => Err(failed(format!("`plugin new` has not told how to go on:\n{printed}"))),
    }
}

/// Where the build leaves the component, by the plugin's own manifest.
fn component(plugin: &Path) -> Result<String> {
    let path = plugin.join("plugins.toml");
    let text = fs::read_to_string(&path).map_err(at("read", &path))?;
    let manifest: toml::Table = toml::from_str(&text).map_err(at("read", &path))?;
    let component = manifest
        .get("plugins")
        .and_then(|plugins| plugins.get(NAME))
        .and_then(|entry| entry.get("component"))
        .and_then(toml::Value::as_str);
    component
        .map(str::to_owned)
        .ok_or_else(|| failed(format!("{} names no component of {NAME}", path.display())))
}

/// Runs a line as a user's shell does, and returns what it printed.
fn step(
    setting: &Setting,
    folder: &Path,
    from: &Path,
    line: &str,
    steps: &mut Vec<Step>,
) -> Result<String> {
    println!("$ {line}");
    let begun = Instant::now();
    let output = shell(setting, folder, from, line)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(format!("can't run `{line}`: {error}")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // What a test found is said on stdout, and most of all where it failed.
    println!("{printed}");
    if !output.status.success() {
        return Err(failed(format!("`{line}` failed ({})", output.status)));
    }
    steps.push(Step { line: line.to_owned(), seconds: begun.elapsed().as_secs_f64() });
    Ok(printed)
}

fn shell(setting: &Setting, folder: &Path, from: &Path, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(from).envs(setting.environment.iter().cloned());
    if line.starts_with("code-agent ") {
        // Neither what was compiled nor what was allowed before has a part in this.
        command.env("XDG_CACHE_HOME", folder.join("cache"));
        command.env("XDG_CONFIG_HOME", folder.join("config"));
        // No request leaves this machine for the model: neither a real key nor a
        // proxy is wanted.
        command.env("OPENAI_API_KEY", "unused-on-loopback").env("NO_PROXY", "127.0.0.1,localhost");
    }
    command
}

/// Looks whether it was the new judge that decided.
fn decided(setting: &Setting, folder: &Path, root: &Path) -> Result<()> {
    let line = "code-agent cycles --root-path . --json";
    let cycles = command::capture(&mut shell(setting, folder, root, line))?;
    let reasons: Vec<String> = cycles.lines().map(reasoning).collect();
    let file = root.join("hello.txt");
    let greeting = fs::read_to_string(&file).map_err(at("read", &file))?;
    match reasons.as_slice() {
        [first, second]
            if first.contains(LEFT_IN_CYCLE_1)
                && !second.contains(LEFT_IN_CYCLE_1)
                && greeting == "Hello!\nHallo!\n" =>
        {
            println!("It went on after cycle 1: {first}\nIt stopped after cycle 2: {second}");
            Ok(())
        }
        _ => Err(failed(format!("the judge did not decide as it should have:\n{cycles}"))),
    }
}

fn reasoning(cycle: &str) -> String {
    let cycle: Value = serde_json::from_str(cycle).unwrap_or_default();
    cycle["judge_reasoning"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_is_followed_where_it_tells_what_was_printed() {
        let readme = "it:\n\n```\nnew x   # or y\ncd x\nbuild        # once\ntest\n```\n\nand\n";
        let lines = block(readme, "new x").unwrap();
        let printed = |text: &'static str| told(text).unwrap();
        let followed = same(&lines, printed("made x\n\ncd x\nbuild\ntest\n")).unwrap();
        assert_eq!(followed, ["build", "test"]);
        assert!(same(&lines, printed("made x\n\ncd x\nbuild\n")).is_err());
        assert!(block(readme, "old x").is_err() && told("made x\n").is_err());
    }

    #[test]
    fn the_readmes_run_is_told_with_places_that_are_known() {
        let readme = fs::read_to_string(command::top().join("README.md")).unwrap();
        let line = run_told(&readme, Path::new("/p")).unwrap();
        let expected = "code-agent --plugins /p --plugins . --root-path ../project --goal \
                        'Say hello in two languages'";
        assert_eq!(line, expected);
        for (language, _) in LANGUAGES {
            let new = format!("code-agent plugin new {NAME} --lang {language} --kind judge");
            assert!(block(&readme, &new).unwrap().len() > 3, "{language}");
        }
    }

    #[test]
    fn a_language_has_to_be_known() {
        let asked = |language: &str| {
            Options { language: Some(language.to_owned()), ..Options::default() }.checked()
        };
        assert!(asked("python").is_ok());
        assert!(matches!(asked("cobol"), Err(Failure::Usage(_))));
    }
}
