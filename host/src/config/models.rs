//! Which model each role has: plain data, by role, with a default below it.
//! Reaching the models is `agent::RoleModels`' business.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Options;
use crate::lm::prices::{Price, price};
use crate::lm::{ModelChoice, ModelSettings, Provider};
use crate::types::Role;
use crate::{Error, Result};

/// The words that a model can be set for. `planner` is the main planner and
/// the sub-planners both; a merger has the worker's model where it has none of
/// its own.
pub const ROLE_WORDS: [&str; 6] =
    ["planner", "main-planner", "sub-planner", "worker", "merger", "judge"];
/// The word for what holds where a role has nothing of its own.
pub const DEFAULT: &str = "default";

/// What stands before the file of a recorded run.
pub const REPLAY: &str = "replay:";

/// The highest temperature that servers take.
const HIGHEST_TEMPERATURE: f32 = 2.0;

/// What a role has of its own; what is none comes from the next wider word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelOptions {
    /// `openai:NAME`, `vllm:` and so on. The default's stands in `Options::lm`.
    pub model: Option<String>,
    /// Its server's address. The default's stands in `Options::api_base`.
    pub api_base: Option<String>,
    /// How varied its answers are, from 0 to 2.
    pub temperature: Option<f32>,
    /// The most tokens that one answer may have.
    pub max_output_tokens: Option<u32>,
}

/// A role's model, after all words were looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Which one.
    pub choice: ModelChoice,
    /// Its server's address, where it is not the provider's own.
    pub api_base: Option<String>,
    /// How varied its answers are; none: as the server likes.
    pub temperature: Option<f32>,
    /// The most tokens that one answer may have; none: as the server likes.
    pub max_output_tokens: Option<u32>,
}

/// The words that hold for a role, the narrowest first.
fn words(role: Role) -> &'static [&'static str] {
    match role {
        Role::MainPlanner => &["main-planner", "planner"],
        Role::SubPlanner => &["sub-planner", "planner"],
        Role::Worker => &["worker"],
        Role::Merger => &["merger", "worker"],
        Role::Judge => &["judge"],
    }
}

impl Options {
    /// The model of a role. An address belongs to the model that it was named
    /// with, or to a wider one; the default's also holds for other models of
    /// the same provider.
    pub fn chosen(&self, role: Role) -> Result<Chosen> {
        let named: Vec<&ModelOptions> =
            words(role).iter().filter_map(|word| self.role_models.get(*word)).collect();
        let own = named.iter().position(|options| options.model.is_some());
        let text = own.and_then(|own| named.get(own)?.model.as_deref()).unwrap_or(&self.lm);
        let choice = ModelChoice::parse(text)?;
        let narrower = own.map_or(named.len(), |own| own + 1);
        let api_base = named.iter().take(narrower).find_map(|options| options.api_base.clone());
        let shared = choice.provider == ModelChoice::parse(&self.lm)?.provider;
        let default = self.role_models.get(DEFAULT);
        let all = || named.iter().copied().chain(default);
        Ok(Chosen {
            choice,
            api_base: api_base.or_else(|| self.api_base.clone().filter(|_| shared)),
            temperature: all().find_map(|options| options.temperature),
            max_output_tokens: all().find_map(|options| options.max_output_tokens),
        })
    }

    /// How a role's model is connected to.
    pub fn model_settings(&self, chosen: &Chosen) -> Result<ModelSettings> {
        let provider = chosen.choice.provider;
        let default = ModelChoice::parse(&self.lm)?.provider;
        let own = self.api_key.clone().filter(|_| provider == default);
        Ok(ModelSettings {
            api_base: chosen.api_base.clone(),
            api_key: own.or_else(|| self.api_keys.get(provider.as_str()).cloned()),
            max_retries: self.max_retries,
            max_requests: self.max_requests,
            limits: self.timeouts.or_usual(provider),
            temperature: chosen.temperature,
            ..ModelSettings::new(chosen.choice.clone())
        })
    }

    /// What a role's model costs, as far as that is known.
    pub fn price(&self, chosen: &Chosen) -> Option<Price> {
        price(&chosen.choice, chosen.api_base.is_some(), &self.prices)
    }

    /// Refuses models that can't be meant, and a limit of costs that nobody
    /// could keep.
    pub(super) fn check_models(&self) -> Result<()> {
        for (word, options) in &self.role_models {
            check_word(word)?;
            options.check(word)?;
        }
        for (name, price) in &self.prices {
            if !price.is_sound() {
                return Err(Error::usage(format!(
                    "the prices of `{name}` have to be US dollars for a million tokens, 0 or more"
                )));
            }
        }
        for role in Role::ALL {
            let chosen = self.chosen(role)?;
            if self.max_cost.is_some() && self.price(&chosen).is_none() {
                return Err(unknown_price(role, &chosen));
            }
        }
        Ok(())
    }
}

impl ModelOptions {
    fn check(&self, word: &str) -> Result<()> {
        if let Some(model) = &self.model {
            ModelChoice::parse(model)?;
        }
        if self.temperature.is_some_and(|value| !(0.0..=HIGHEST_TEMPERATURE).contains(&value)) {
            return Err(Error::usage(format!(
                "the temperature of `{word}` has to be from 0 to {HIGHEST_TEMPERATURE}"
            )));
        }
        if self.max_output_tokens == Some(0) {
            return Err(Error::usage(format!(
                "the model of `{word}` can't answer in 0 tokens; set max-output-tokens higher"
            )));
        }
        Ok(())
    }
}

fn check_word(word: &str) -> Result<()> {
    if word == DEFAULT || ROLE_WORDS.contains(&word) {
        return Ok(());
    }
    Err(Error::usage(super::file::unknown("a role", word, &ROLE_WORDS)))
}

fn unknown_price(role: Role, chosen: &Chosen) -> Error {
    let name = chosen.choice.name.clone().unwrap_or_else(|| chosen.choice.to_string());
    Error::usage(format!(
        "--max-cost can't be kept: what {} costs, the model of the {role}, is not known{}; set it \
         in your own config: [prices.\"{name}\"] with input, cached-input and output in US dollars \
         for a million tokens, or limit the tokens with --max-tokens",
        chosen.choice,
        if chosen.api_base.is_some() { " at its address" } else { "" },
    ))
}

/// Reads `[ROLE=]VALUE`; none is the default. What has another sign before the
/// `=` is a value as a whole, for names of models may have one.
pub fn split_role(text: &str) -> Result<(Option<&str>, &str)> {
    let Some((word, value)) = text.split_once('=') else { return Ok((None, text)) };
    let is_word = |letter: char| letter.is_ascii_alphabetic() || letter == '-' || letter == '_';
    if word.is_empty() || !word.chars().all(is_word) {
        return Ok((None, text));
    }
    if word == DEFAULT {
        return Ok((None, value));
    }
    check_word(word)?;
    Ok((Some(word), value))
}

/// Sets models and addresses as flags name them. A new model drops the address
/// that belonged to the one before it.
pub fn name_models(options: &mut Options, models: &[String], api_bases: &[String]) -> Result<()> {
    for text in models {
        match split_role(text)? {
            (None, model) if model.starts_with(REPLAY) => {
                options.replay = model.strip_prefix(REPLAY).map(PathBuf::from);
            }
            (Some(_), model) if model.starts_with(REPLAY) => {
                return Err(Error::usage(
                    "a recording is played back for all roles at once: write --model replay:FILE",
                ));
            }
            (None, model) => {
                options.lm = model.to_owned();
                options.api_base = None;
            }
            (Some(word), model) => {
                let role = options.role_models.entry(word.to_owned()).or_default();
                role.model = Some(model.to_owned());
                role.api_base = None;
            }
        }
    }
    name_addresses(options, api_bases)
}

fn name_addresses(options: &mut Options, api_bases: &[String]) -> Result<()> {
    for text in api_bases {
        match split_role(text)? {
            (None, address) => options.api_base = Some(address.to_owned()),
            (Some(word), address) => {
                let role = options.role_models.entry(word.to_owned()).or_default();
                role.api_base = Some(address.to_owned());
            }
        }
    }
    Ok(())
}

/// Lets each address of a provider's model be what its variable says.
pub(super) fn name_provider_address(
    options: &mut Options,
    provider: Provider,
    address: &str,
    replace: bool,
) -> Result<()> {
    let is_of = |text: &str| -> Result<bool> { Ok(ModelChoice::parse(text)?.provider == provider) };
    if is_of(&options.lm)? && (replace || options.api_base.is_none()) {
        options.api_base = Some(address.to_owned());
    }
    let default = options.lm.clone();
    for (word, role) in &mut options.role_models {
        let text = role.model.as_deref();
        let concerned = word != DEFAULT && (text.is_some() || role.api_base.is_some());
        if concerned && is_of(text.unwrap_or(&default))? && (replace || role.api_base.is_none()) {
            role.api_base = Some(address.to_owned());
        }
    }
    Ok(())
}

/// Lays what a file says over what there is.
pub(super) fn overlay(options: &mut Options, models: BTreeMap<String, ModelOptions>) {
    for (word, ModelOptions { model, api_base, temperature, max_output_tokens }) in models {
        let role = options.role_models.entry(word.clone()).or_default();
        role.temperature = temperature.or(role.temperature);
        role.max_output_tokens = max_output_tokens.or(role.max_output_tokens);
        if word == DEFAULT {
            options.lm = model.unwrap_or_else(|| std::mem::take(&mut options.lm));
            options.api_base = api_base.or(options.api_base.take());
        } else {
            role.model = model.or(role.model.take());
            role.api_base = api_base.or(role.api_base.take());
        }
    }
}
