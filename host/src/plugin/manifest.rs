//! `plugins.toml`: which component fills which role or brings tools, what it
//! asks for, its settings and its limits. Owns the file's form; what lies in the
//! folder is `folder`'s, whether a component really exports what the file says
//! is found out when it is loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Table;

use super::grants;
use crate::agent::{Grant, Rights};
use crate::config::file::{self, Section, unknown};
use crate::types::Role;
use crate::{Error, Result};

/// The file's name in a plugins folder.
pub const FILE_NAME: &str = "plugins.toml";

/// What an entry's table may hold.
const KEYS: [&str; 7] = ["component", "sha-256", "role", "tool", "grants", "settings", "limits"];
/// Characters of a plugin's name.
const LONGEST_NAME: usize = 64;
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// How much a plugin may use in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of one call together, in MiB.
    pub memory_mib: u32,
    /// Wall time of one call, in seconds.
    pub call_seconds: u32,
    /// Time that the component may compute between two calls to the host,
    /// in milliseconds.
    pub compute_milliseconds: u32,
    /// What a model is shown of what one call of a tool hands back.
    pub output_bytes: u32,
}

impl Limits {
    /// The most that a file may give: one plugin must not take the machine.
    const MOST: Self = Self {
        memory_mib: 4096,
        call_seconds: 24 * 3600,
        compute_milliseconds: 60_000,
        output_bytes: 1 << 20,
    };

    /// What a plugin of this kind may use where nothing says more or less.
    /// 64 MiB hold a role in Rust many times over. An hour is far above what
    /// a task takes, and two minutes above what a model should wait for a tool.
    /// Ten seconds of computing is what no role needs. The output is what the
    /// host's own tools give.
    pub fn usual(kind: Kind) -> Self {
        let call_seconds = match kind {
            Kind::Role(_) => 3600,
            Kind::Tool => 120,
        };
        Self { memory_mib: 64, call_seconds, compute_milliseconds: 10_000, output_bytes: 50_000 }
    }

    /// Those that are not what is usual for this kind, by their names in the file.
    pub fn unusual(self, kind: Kind) -> BTreeMap<&'static str, u32> {
        let usual = Self::usual(kind).by_name();
        let all = self.by_name().into_iter().zip(usual);
        all.filter(|(own, usual)| own != usual).map(|(own, _)| own).collect()
    }

    fn by_name(self) -> [(&'static str, u32); 4] {
        let Self { memory_mib, call_seconds, compute_milliseconds, output_bytes } = self;
        [
            ("memory-mib", memory_mib),
            ("call-seconds", call_seconds),
            ("compute-milliseconds", compute_milliseconds),
            ("output-bytes", output_bytes),
        ]
    }
}

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It fills a role.
    Role(Role),
    /// It brings tools.
    Tool,
}

impl Kind {
    /// The role, if it fills one.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Role(role) => Some(role),
            Self::Tool => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => role.fmt(formatter),
            Self::Tool => formatter.write_str("tool"),
        }
    }
}

/// One plugin as the folder's file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// The table's name in the file.
    pub name: String,
    /// Where the component lies.
    pub component: PathBuf,
    /// What its bytes have to come to, where the file says it.
    pub sha256: Option<String>,
    /// What it is; none where no file names it, so that its exports tell.
    pub kind: Option<Kind>,
    /// What it asks for; none where the file doesn't say it.
    pub grants: Option<Rights>,
    /// What `settings.get` gives it.
    pub settings: BTreeMap<String, String>,
    /// What it may use; none where no file says it.
    pub limits: Option<Limits>,
}

impl PluginEntry {
    /// A component that lies in the folder without an entry.
    pub fn without_entry(name: String, component: PathBuf) -> Self {
        Self {
            name,
            component,
            sha256: None,
            kind: None,
            grants: None,
            settings: BTreeMap::new(),
            limits: None,
        }
    }

    /// What it may use that is not usual for what it is.
    pub fn unusual_limits(&self) -> BTreeMap<&'static str, u32> {
        let both = self.limits.zip(self.kind);
        both.map(|(limits, kind)| limits.unusual(kind)).unwrap_or_default()
    }
}

/// Reads the entries of the file at `path`, whose components lie in `folder`.
pub(super) fn parse(path: &Path, folder: &Path, text: &str) -> Result<Vec<PluginEntry>> {
    let table = file::parse(path, text)?;
    let top = Section { path, name: "", table: &table };
    top.check_keys(&["plugins"])?;
    let entry = |(name, table): (&str, &Table)| {
        let shown = format!("[plugins.{name}]");
        entry(folder, name, &Section { path, name: &shown, table })
    };
    top.tables("plugins")?.into_iter().map(entry).collect()
}

/// Whether it can stand in messages, logs and flags as it is.
pub fn is_name(name: &str) -> bool {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_fine)
}

fn entry(folder: &Path, name: &str, section: &Section<'_>) -> Result<PluginEntry> {
    section.check_keys(&KEYS)?;
    if !is_name(name) {
        return Err(section.wrong("a plugin's name is letters, digits, `-` and `_`, at most 64"));
    }
    let component = section.text("component")?.ok_or_else(|| {
        section.wrong("it names no component; add component = \"FILE.wasm\", relative to this file")
    })?;
    let kind = kind(section)?;
    Ok(PluginEntry {
        name: name.to_owned(),
        component: folder.join(component),
        sha256: sha256(section)?,
        kind: Some(kind),
        grants: asked(section, kind)?,
        settings: settings(section)?,
        limits: Some(limits(section, kind)?),
    })
}

fn sha256(section: &Section<'_>) -> Result<Option<String>> {
    let Some(text) = section.text("sha-256")? else { return Ok(None) };
    if text.len() != DIGITS || !text.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(section.wrong("`sha-256` has to be 64 hexadecimal digits, as sha256sum prints"));
    }
    Ok(Some(text.to_lowercase()))
}

fn kind(section: &Section<'_>) -> Result<Kind> {
    let is_tool = section.flag("tool")?.unwrap_or(false);
    match (section.text("role")?, is_tool) {
        (Some(word), false) => role(&word).map(Kind::Role).map_err(|why| section.wrong(&why)),
        (None, true) => Ok(Kind::Tool),
        (None, false) => Err(section.wrong(
            "it says not what the plugin is; add role = \"worker\" (or another role), or tool = true",
        )),
        (Some(_), true) => {
            Err(section.wrong("a plugin is a role or a tool; keep one of `role` and `tool`"))
        }
    }
}

/// The role of this name, or the sentence that names the nearest.
pub(crate) fn role(word: &str) -> std::result::Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == word);
    found.ok_or_else(|| unknown("a role", word, &Role::ALL.map(Role::as_str)))
}

fn asked(section: &Section<'_>, kind: Kind) -> Result<Option<Rights>> {
    let Some(value) = section.table.get("grants") else { return Ok(None) };
    let askable: Vec<Grant> =
        Grant::ALL.into_iter().filter(|grant| *grant != Grant::Settings).collect();
    let words: Vec<&str> = askable.iter().map(|grant| grant.as_str()).collect();
    let wrong = || section.wrong("`grants` has to be a list, such as [\"files\", \"commands\"]");
    let mut asked = Rights::NONE;
    for value in value.as_array().ok_or_else(wrong)? {
        let word = value.as_str().ok_or_else(wrong)?;
        let grant = askable.iter().find(|grant| grant.as_str() == word);
        let grant = *grant.ok_or_else(|| section.wrong(&unknown("a grant", word, &words)))?;
        if !grants::most(kind).allows(grant) {
            return Err(section.wrong(&grants::never(kind, grant)));
        }
        asked = asked.with(grant);
    }
    Ok(Some(asked))
}

fn settings(section: &Section<'_>) -> Result<BTreeMap<String, String>> {
    let Some(value) = section.table.get("settings") else { return Ok(BTreeMap::new()) };
    let wrong =
        || section.wrong("`settings` has to be a table of texts, such as max-turns = \"80\"");
    let texts = value.as_table().ok_or_else(wrong)?.iter().map(|(key, value)| {
        let text = value.as_str().ok_or_else(wrong)?;
        Ok((key.clone(), text.to_owned()))
    });
    texts.collect()
}

fn limits(section: &Section<'_>, kind: Kind) -> Result<Limits> {
    let usual = Limits::usual(kind);
    let Some(value) = section.table.get("limits") else { return Ok(usual) };
    let table = value.as_table().ok_or_else(|| section.wrong("`limits` has to be a table"))?;
    let name = section.name.replace(']', ".limits]");
    let limits = Section { name: &name, table, path: section.path };
    limits.check_keys(&Limits::MOST.by_name().map(|(key, _)| key))?;
    if kind != Kind::Tool && table.contains_key("output-bytes") {
        return Err(limits.wrong(
            "`output-bytes` is for tools; how much is kept of a role's answer says the host",
        ));
    }
    let limit = |key: &str, usual: u32, most: u32| -> Result<u32> {
        match limits.whole(key)?.unwrap_or(usual) {
            0 => Err(limits.wrong(&format!("`{key}` = 0 lets nothing be done; give at least 1"))),
            limit if limit > most => {
                Err(limits.wrong(&format!("`{key}` = {limit} is too much; {most} is the most")))
            }
            limit => Ok(limit),
        }
    };
    let most = Limits::MOST;
    Ok(Limits {
        memory_mib: limit("memory-mib", usual.memory_mib, most.memory_mib)?,
        call_seconds: limit("call-seconds", usual.call_seconds, most.call_seconds)?,
        compute_milliseconds: limit(
            "compute-milliseconds",
            usual.compute_milliseconds,
            most.compute_milliseconds,
        )?,
        output_bytes: limit("output-bytes", usual.output_bytes, most.output_bytes)?,
    })
}

/// The error about one plugin.
pub(super) fn wrong(name: &str, sentence: impl fmt::Display) -> Error {
    Error::usage(format!("plugin `{name}`: {sentence}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = r#"
        [plugins.sub]
        component = "/elsewhere/sub.wasm"
        role = "sub-planner"
        grants = ["lm", "tools", "files"]
        [plugins.sub.limits]
        memory-mib = 8
        [plugins.worker]
        component = "worker.wasm"
        role = "worker"
        settings = { max-turns = "9" }
        [plugins.outline]
        component = "outline.wasm"
        sha-256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
        tool = true
        grants = ["files", "commands"]
        limits = { output-bytes = 1000 }
    "#;

    fn read(text: &str) -> Result<Vec<PluginEntry>> {
        parse(Path::new("/plugins/plugins.toml"), Path::new("/plugins"), text)
    }

    #[test]
    fn a_whole_file_is_read() {
        let entries = read(THREE).unwrap();
        let [outline, sub, worker] = entries.as_slice() else { panic!("{entries:?}") };
        let usual = Limits::usual(Kind::Role(Role::SubPlanner));
        assert_eq!(sub.limits, Some(Limits { memory_mib: 8, ..usual }));
        assert_eq!(sub.component, Path::new("/elsewhere/sub.wasm"));
        assert_eq!(sub.grants.unwrap().to_string(), "files, lm, tools");
        assert_eq!(worker.settings["max-turns"], "9");
        assert_eq!(worker.component, Path::new("/plugins/worker.wasm"));
        assert_eq!((worker.kind, worker.grants), (Some(Kind::Role(Role::Worker)), None));
        assert_eq!(outline.kind, Some(Kind::Tool));
        assert_eq!(outline.grants.unwrap().to_string(), "files, commands");
        let usual = Limits::usual(Kind::Tool);
        assert_eq!((usual.call_seconds, worker.limits.unwrap().call_seconds), (120, 3600));
        assert_eq!(outline.limits, Some(Limits { output_bytes: 1000, ..usual }));
        assert!(outline.sha256.as_ref().unwrap().starts_with("e3b0c442"));
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_is_not_usual_is_told_and_the_most_is_still_given() {
        let most = THREE
            .replace("memory-mib = 8", "memory-mib = 4096\ncall-seconds = 86400")
            .replace("output-bytes = 1000", "output-bytes = 1048576, compute-milliseconds = 60000");
        let entries = read(&most).unwrap();
        let told = PluginEntry::unusual_limits;
        let [outline, sub, worker] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(told(sub), [("memory-mib", 4096), ("call-seconds", 86_400)].into());
        let of_tool = [("output-bytes", 1 << 20), ("compute-milliseconds", 60_000)];
        assert_eq!(told(outline), of_tool.into());
        assert_eq!(told(worker), BTreeMap::new());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (right, wrong, words) in [
            ("memory-mib", "memory", "[plugins.sub.limits]: `memory` is not a key that is known"),
            ("component =", "componnet =", "did you mean `component`?"),
            ("[plugins.sub]", "[plugin.sub]", "did you mean `plugins`?"),
            ("\"sub-planner\"", "\"subplanner\"", "is not a role; did you mean `sub-planner`?"),
            ("\"commands\"]", "\"comands\"]", "is not a grant; did you mean `commands`?"),
            ("\"commands\"]", "\"settings\"]", "`settings` is not a grant"),
            ("\"commands\"]", "\"lm\"]", "no tool may use `lm`"),
            (
                "\"lm\", ",
                "\"lm\", \"commands\", ",
                "the role sub-planner has no right to `commands`",
            ),
            ("tool = true", "tool = false", "add role = \"worker\""),
            ("tool = true", "tool = true\nrole = \"judge\"", "a role or a tool"),
            ("memory-mib = 8", "memory-mib = 0", "`memory-mib` = 0"),
            ("memory-mib = 8", "memory-mib = 4097", "`memory-mib` = 4097 is too much; 4096 is the"),
            ("memory-mib = 8", "call-seconds = 86401", "86400 is the most"),
            ("memory-mib = 8", "compute-milliseconds = 60001", "60000 is the most"),
            ("output-bytes = 1000", "output-bytes = 1048577", "1048576 is the most"),
            ("memory-mib = 8", "output-bytes = 8", "is for tools"),
            ("\"9\"", "9", "a table of texts"),
            ("E3B0", "x", "64 hexadecimal digits"),
            ("plugins.worker", "plugins.\"a b\"", "letters, digits"),
        ] {
            let sentence = read(&THREE.replace(right, wrong)).unwrap_err().to_string();
            assert!(sentence.contains(words), "{wrong}: {sentence}");
            assert!(sentence.contains("plugins.toml"), "{sentence}");
        }
    }
}
