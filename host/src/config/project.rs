//! The project's config, a file of the repository. Whoever can write to the
//! repository can write it, so it may narrow what a run does and never widen
//! it: no keys, addresses, prices, models or grants.

use std::path::Path;

use super::file::{BOUNDS, Bounds, Section, read};
use super::{Options, user};
use crate::{Error, Result};

/// The file's name at the root path.
pub const FILE_NAME: &str = ".code-agent.toml";

/// Keys that people look for here, and why they are not for this file.
const ELSEWHERE: [(&str, &str); 5] = [
    ("keys", "keys belong to you and not to a repository"),
    ("api-base", "the address of the model's server belongs to you, since your key goes there"),
    ("models", "which models are asked, and where, is yours to choose, since you pay for it"),
    ("prices", "prices belong to you, since they guard your money"),
    ("allow-secrets", "whether keys may land is yours to say"),
];

/// Reads the project's config; empty bounds where there is none.
pub(super) fn load(root_path: &Path, defaults: &Options) -> Result<Bounds> {
    let path = root_path.join(FILE_NAME);
    // A link could make the host read any file of the user's.
    if let Ok(metadata) = path.symlink_metadata()
        && !metadata.is_file()
    {
        return Err(Error::usage(format!("{} is no file; remove it", path.display())));
    }
    let Some((table, _)) = read(&path)? else { return Ok(Bounds::default()) };
    let top = Section { path: &path, name: "", table: &table };
    if let Some((key, why)) = ELSEWHERE.iter().find(|(key, _)| table.contains_key(*key)) {
        let own = user::path().map_or_else(
            || "~/.config/code-agent/config.toml".to_owned(),
            |path| path.display().to_string(),
        );
        return Err(top.wrong(&format!(
            "`{key}` is refused in a file of the repository: {why}; put it into {own}"
        )));
    }
    top.check_keys(&BOUNDS)?;
    let bounds = top.bounds()?;
    if bounds.push == Some(true) {
        return Err(top.wrong(
            "`push` may be false in a file of the repository; that you want it to be true, say in \
             your own config.toml",
        ));
    }
    no_more(&top, "max-cycles", bounds.max_cycles, defaults.max_cycles)?;
    no_more(&top, "max-workers", bounds.max_workers, defaults.max_workers)?;
    Ok(bounds)
}

fn no_more(top: &Section<'_>, key: &str, wanted: Option<u32>, default: u32) -> Result<()> {
    if wanted.is_none_or(|wanted| wanted <= default) {
        return Ok(());
    }
    Err(top.wrong(&format!(
        "`{key}` may be lower than {default} in a file of the repository, not higher: \
         whoever has the repository would decide what a run costs. Take the line out, and say it with \
         --{key}"
    )))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load_text(text: &str) -> Result<Bounds> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), text).unwrap();
        load(folder.path(), &Options::new("goal", folder.path()))
    }

    #[test]
    fn harmless_bounds_are_read() {
        let bounds =
            load_text("branch = 'agents'\npush = false\nmax-workers = 4\nmax-tokens = 1000")
                .unwrap();
        assert_eq!(bounds.branch.as_deref(), Some("agents"));
        assert_eq!(bounds.push, Some(false));
        assert_eq!((bounds.max_workers, bounds.max_tokens), (Some(4), Some(1000)));
    }

    #[test]
    fn what_would_widen_is_refused_with_the_right_place() {
        for (text, word) in [
            ("[keys]\nopenai = 'sk-secret'", "`keys`"),
            ("api-base = 'http://evil'", "`api-base`"),
            ("[models.worker]\nmodel = 'openai:dear'", "`models`"),
            ("[prices.'x']\ninput = 0", "`prices`"),
            ("push = true", "`push`"),
            ("allow-secrets = true", "`allow-secrets`"),
        ] {
            let sentence = load_text(text).unwrap_err().to_string();
            assert!(sentence.contains(word) && sentence.contains("config.toml"), "{sentence}");
            assert!(!sentence.contains("sk-secret"), "{sentence}");
        }
        for (text, word) in
            [("max-workers = 500", "--max-workers"), ("max-cylces = 1", "`max-cycles`")]
        {
            let sentence = load_text(text).unwrap_err().to_string();
            assert!(sentence.contains(word), "{sentence}");
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "max-cycles = 1").unwrap();
        let link = folder.path().join(FILE_NAME);
        std::os::unix::fs::symlink(folder.path().join("secret"), link).unwrap();
        let options = Options::new("goal", folder.path());
        assert!(load(folder.path(), &options).unwrap_err().to_string().contains("is no file"));
    }
}
