//! The user's own config: models, keys and prices. It lies outside of every
//! repository, so it may hold secrets, if nobody else can read it.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use super::environment::folder;
use super::file::{BOUNDS, Bounds, Section, read, unknown};
use super::models::{DEFAULT, ModelOptions, ROLE_WORDS};
use crate::lm::prices::Price;
use crate::lm::{Provider, Secret, Timeouts};
use crate::sandbox::Access;
use crate::{Error, Result};

/// The permission bits that let others read a file: its group and the world.
const READABLE_BY_OTHERS: u32 = 0o044;

/// The keys for how models' servers are asked: numbers, and times in seconds.
const SERVER: [&str; 5] =
    ["max-requests", "connect-timeout", "first-token-timeout", "gap-timeout", "request-timeout"];

/// The key that lets land what looks like a key.
const ALLOW_SECRETS: &str = "allow-secrets";

/// What stands in the user's config.
#[derive(Default)]
pub(super) struct UserConfig {
    pub(super) models: BTreeMap<String, ModelOptions>,
    /// By the provider's word.
    pub(super) keys: BTreeMap<String, Secret>,
    /// By the model's name.
    pub(super) prices: BTreeMap<String, Price>,
    pub(super) bounds: Bounds,
    pub(super) max_requests: Option<u32>,
    pub(super) timeouts: Timeouts,
    pub(super) access: Access,
    pub(super) allow_secrets: bool,
}

/// Where the config lies; none where the environment names no home.
pub(super) fn path() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("config.toml"))
}

/// Reads the user's config; an empty one where there is none.
pub(super) fn load() -> Result<UserConfig> {
    match path() {
        Some(path) => load_from(&path),
        None => Ok(UserConfig::default()),
    }
}

fn load_from(path: &Path) -> Result<UserConfig> {
    let Some((table, metadata)) = read(path)? else { return Ok(UserConfig::default()) };
    let top = Section { path, name: "", table: &table };
    let tables = ["models", "keys", "prices", "sandbox"];
    let known: Vec<&str> =
        tables.into_iter().chain(BOUNDS).chain(SERVER).chain([ALLOW_SECRETS]).collect();
    top.check_keys(&known)?;
    Ok(UserConfig {
        models: models(&top)?,
        keys: keys(&top, &metadata)?,
        prices: prices(&top)?,
        bounds: top.bounds()?,
        max_requests: top.whole("max-requests")?,
        timeouts: timeouts(&top)?,
        access: access(&top)?,
        allow_secrets: top.flag(ALLOW_SECRETS)?.unwrap_or_default(),
    })
}

fn timeouts(top: &Section<'_>) -> Result<Timeouts> {
    Ok(Timeouts {
        connect: top.whole("connect-timeout")?,
        first_token: top.whole("first-token-timeout")?,
        gap: top.whole("gap-timeout")?,
        total: top.whole("request-timeout")?,
    })
}

fn access(top: &Section<'_>) -> Result<Access> {
    let Some(value) = top.table.get("sandbox") else { return Ok(Access::default()) };
    Access::deserialize(value.clone())
        .map_err(|error| top.wrong(&format!("[sandbox]: {}", error.message())))
}

fn models(top: &Section<'_>) -> Result<BTreeMap<String, ModelOptions>> {
    let words: Vec<&str> = ROLE_WORDS.into_iter().chain([DEFAULT]).collect();
    let mut models = BTreeMap::new();
    for (word, table) in top.tables("models")? {
        if !words.contains(&word) {
            return Err(top.wrong(&format!("[models]: {}", unknown("a role", word, &words))));
        }
        let name = format!("[models.{word}]");
        let section = Section { name: &name, table, ..*top };
        section.check_keys(&["model", "api-base", "temperature", "max-output-tokens"])?;
        let options = ModelOptions {
            model: section.text("model")?,
            api_base: section.text("api-base")?,
            temperature: section.number("temperature")?.map(|number| number as f32),
            max_output_tokens: section.whole("max-output-tokens")?,
        };
        models.insert(word.to_owned(), options);
    }
    Ok(models)
}

fn keys(top: &Section<'_>, metadata: &Metadata) -> Result<BTreeMap<String, Secret>> {
    let Some(value) = top.table.get("keys") else { return Ok(BTreeMap::new()) };
    let empty = Table::new();
    let table = value.as_table().unwrap_or(&empty);
    let section = Section { name: "[keys]", table, ..*top };
    if !value.is_table() {
        return Err(section.wrong("has to be a table"));
    }
    if metadata.permissions().mode() & READABLE_BY_OTHERS != 0 {
        return Err(Error::usage(format!(
            "{} holds keys and others can read it; let it be yours alone: chmod 600 {}",
            top.path.display(),
            top.path.display()
        )));
    }
    section.check_keys(&Provider::ALL.map(Provider::as_str))?;
    let mut keys = BTreeMap::new();
    for provider in Provider::ALL {
        let word = provider.as_str();
        if let Some(key) = section.text(word)?.as_deref().and_then(Secret::new) {
            keys.insert(word.to_owned(), key);
        }
    }
    Ok(keys)
}

fn prices(top: &Section<'_>) -> Result<BTreeMap<String, Price>> {
    let mut prices = BTreeMap::new();
    for (model, table) in top.tables("prices")? {
        let name = format!("[prices.\"{model}\"]");
        let section = Section { name: &name, table, ..*top };
        section.check_keys(&["input", "cached-input", "output"])?;
        let (Some(input), Some(output)) = (section.number("input")?, section.number("output")?)
        else {
            return Err(section.wrong("needs both `input` and `output`"));
        };
        let price = Price { input, cached_input: section.number("cached-input")?, output };
        if !price.is_sound() {
            return Err(section
                .wrong("prices have to be US dollars for a million tokens, from 0 to 100000"));
        }
        prices.insert(model.to_owned(), price);
    }
    Ok(prices)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load_text(text: &str, mode: u32) -> Result<UserConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        load_from(&path)
    }

    #[test]
    fn a_whole_config_is_read() {
        let config = load_text(
            r#"
            max-time = "2h"
            max-cost = 3
            max-requests = 4
            allow-secrets = true
            gap-timeout = 120
            [models.default]
            model = "openai:big"
            [models.worker]
            model = "vllm:small"
            temperature = 0.2
            max-output-tokens = 8000
            api-base = "http://gpu:8000"
            [keys]
            openai = "sk-0123456789"
            [prices."big"]
            input = 2.5
            cached-input = 1.25
            output = 10
            "#,
            0o600,
        )
        .unwrap();
        let worker = &config.models["worker"];
        assert_eq!((worker.temperature, worker.max_output_tokens), (Some(0.2), Some(8000)));
        assert_eq!(worker.api_base.as_deref(), Some("http://gpu:8000"));
        assert_eq!(config.models["default"].model.as_deref(), Some("openai:big"));
        assert_eq!(config.prices["big"].output, 10.0);
        assert!(config.allow_secrets && !UserConfig::default().allow_secrets);
        assert_eq!(config.bounds.max_time.unwrap().as_secs(), 7200);
        assert_eq!(config.bounds.max_cost, Some(3.0));
        let timeouts = Timeouts { gap: Some(120), ..Timeouts::default() };
        assert_eq!((config.max_requests, config.timeouts), (Some(4), timeouts));
        assert!(config.keys.contains_key("openai"));
        assert!(load_from(Path::new("/nowhere/config.toml")).unwrap().models.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_and_never_repeated() {
        for (text, words) in [
            ("[models.worker]\nmodle = 'x'", &["[models.worker]", "`modle`", "`model`"][..]),
            ("[models.wroker]\nmodel = 'x'", &["`wroker`", "`worker`"]),
            ("[keys]\nopenia = 'sk-secret'", &["[keys]", "`openia`", "`openai`"]),
            ("[keys]\nopenai = sk-secret", &["line 2"]),
            ("[keys]\nopenai = ['sk-secret']", &["`openai` has to be a text"]),
            ("keys = 'sk-secret'", &["has to be a table"]),
            ("[price.x]\ninput = 1", &["`price`", "`prices`"]),
            ("[prices.x]\ninput = 1", &["`output`"]),
            ("[prices.x]\ninput = -1\noutput = 1", &["US dollars"]),
            ("max-time = 'soon'", &["1h30m"]),
            ("max-workers = -3", &["`max-workers`", "whole number"]),
            ("allow-secrets = 'yes'", &["`allow-secrets` has to be true or false"]),
            ("xyz = 1", &["there are models, keys"]),
        ] {
            let sentence = load_text(text, 0o600).err().unwrap().to_string();
            assert!(words.iter().all(|word| sentence.contains(word)), "{text}: {sentence}");
            assert!(sentence.contains("config.toml") && !sentence.contains("sk-"), "{sentence}");
        }
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        for mode in [0o644, 0o640, 0o604] {
            let error = load_text("[keys]\nopenai = 'sk-secret'", mode).err().unwrap();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        assert!(load_text("max-cycles = 2", 0o644).is_ok(), "nothing in it is secret");
    }
}
