//! Where options come from, the strongest first: flags, environment, the
//! user's config, the project's config.

use std::time::Duration;

use super::models::{name_models, overlay};
use super::user::UserConfig;
use super::{Options, environment, project, user};
use crate::Result;

/// What a call names of models and bounds; none and empty: what the other
/// layers say.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// `[ROLE=]MODEL`, in the order of the call.
    pub models: Vec<String>,
    /// `[ROLE=]URL`, likewise.
    pub api_bases: Vec<String>,
    /// The branch that the work goes to.
    pub branch: Option<String>,
    /// Whether what lands is pushed.
    pub push: Option<bool>,
    /// How many cycles the run may have.
    pub max_cycles: Option<u32>,
    /// How many workers work at once.
    pub max_workers: Option<u32>,
    /// The most tokens of the whole run.
    pub max_tokens: Option<u64>,
    /// The most US dollars of the whole run.
    pub max_cost: Option<f64>,
    /// The most time of the whole run.
    pub max_time: Option<Duration>,
}

impl Named {
    fn overlay_bounds(&self, options: &mut Options) {
        if let Some(branch) = &self.branch {
            options.branch.clone_from(branch);
        }
        options.push = self.push.unwrap_or(options.push);
        options.max_cycles = self.max_cycles.unwrap_or(options.max_cycles);
        options.max_workers = self.max_workers.unwrap_or(options.max_workers);
        options.max_tokens = self.max_tokens.or(options.max_tokens);
        options.max_cost = self.max_cost.or(options.max_cost);
        options.max_time = self.max_time.or(options.max_time);
    }
}

impl Options {
    /// Fills the options of a new run from all layers.
    pub fn fill(&mut self, named: &Named) -> Result<()> {
        let bounds = project::load(&self.root_path, self)?;
        bounds.overlay(self);
        self.fill_from(user::load()?, named, environment::name_addresses)
    }

    fn fill_from(
        &mut self,
        config: UserConfig,
        named: &Named,
        environment: fn(&mut Options, bool) -> Result<()>,
    ) -> Result<()> {
        let UserConfig {
            models,
            keys,
            prices,
            bounds,
            max_requests,
            timeouts,
            access,
            allow_secrets,
        } = config;
        self.allow_secrets |= allow_secrets;
        self.access.network |= access.network;
        self.access.readable.extend(access.readable);
        self.access.writable.extend(access.writable);
        bounds.overlay(self);
        // What is there already comes from flags.
        self.max_requests = self.max_requests.or(max_requests);
        self.timeouts = self.timeouts.or(timeouts);
        overlay(self, models);
        name_models(self, &named.models, &[])?;
        environment(self, true)?;
        name_models(self, &[], &named.api_bases)?;
        named.overlay_bounds(self);
        self.prices.extend(prices);
        self.api_keys = environment::keys(keys);
        Ok(())
    }

    /// Fills the options of a run that goes on: they hold what all layers said
    /// when it was started, so that only flags, keys and prices are new.
    pub fn refill(&mut self, named: &Named) -> Result<()> {
        let UserConfig { keys, prices, .. } = user::load()?;
        name_models(self, &named.models, &named.api_bases)?;
        environment::name_addresses(self, false)?;
        named.overlay_bounds(self);
        self.prices.extend(prices);
        self.api_keys = environment::keys(keys);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::models::{ModelOptions, name_provider_address, split_role};
    use crate::lm::Provider;
    use crate::types::Role;

    fn config() -> UserConfig {
        let worker = ModelOptions {
            model: Some("openai:small".into()),
            api_base: Some("http://config".into()),
            temperature: Some(0.5),
            max_output_tokens: Some(100),
        };
        let default = ModelOptions {
            model: Some("ollama:wide".into()),
            temperature: Some(1.0),
            ..ModelOptions::default()
        };
        UserConfig {
            models: BTreeMap::from([("worker".into(), worker), ("default".into(), default)]),
            ..UserConfig::default()
        }
    }

    fn filled(named: &Named, environment: fn(&mut Options, bool) -> Result<()>) -> Options {
        let mut options = Options::new("goal", "/");
        options.fill_from(config(), named, environment).unwrap();
        options
    }

    fn shown(options: &Options, role: Role) -> (String, String, f32) {
        let chosen = options.chosen(role).unwrap();
        let base = chosen.api_base.unwrap_or_default();
        (chosen.choice.to_string(), base, chosen.temperature.unwrap())
    }

    fn expect(model: &str, base: &str, temperature: f32) -> (String, String, f32) {
        (model.to_owned(), base.to_owned(), temperature)
    }

    #[test]
    fn flags_stand_before_the_environment_and_that_before_the_config() {
        let silent: fn(&mut Options, bool) -> Result<()> = |_, _| Ok(());
        let speaking: fn(&mut Options, bool) -> Result<()> = |options, replace| {
            name_provider_address(options, Provider::OpenAi, "http://env", replace)
        };
        let none = Named::default();
        let options = filled(&none, silent);
        assert_eq!(shown(&options, Role::Worker), expect("openai:small", "http://config", 0.5));
        assert_eq!(shown(&options, Role::Judge), expect("ollama:wide", "", 1.0));
        let options = filled(&none, speaking);
        assert_eq!(shown(&options, Role::Worker), expect("openai:small", "http://env", 0.5));
        assert_eq!(shown(&options, Role::Judge), expect("ollama:wide", "", 1.0));
        let named = Named {
            models: vec!["worker=openai:other".into(), "vllm:".into()],
            api_bases: vec!["worker=http://flag".into(), "http://local".into()],
            ..Named::default()
        };
        let options = filled(&named, speaking);
        assert_eq!(shown(&options, Role::Worker), expect("openai:other", "http://flag", 0.5));
        assert_eq!(shown(&options, Role::SubPlanner), expect("vllm:", "http://local", 1.0));
    }

    #[test]
    fn narrower_words_stand_before_wider_ones() {
        let mut options = Options::new("goal", "/");
        let models = ["openai:a", "planner=openai:b", "sub-planner=vllm:c", "judge=ollama:d"];
        let models = models.map(str::to_owned);
        name_models(&mut options, &models, &["http://base".to_owned()]).unwrap();
        let model = |role| {
            let chosen = options.chosen(role).unwrap();
            (chosen.choice.to_string(), chosen.api_base)
        };
        let base = Some("http://base".to_owned());
        assert_eq!(model(Role::MainPlanner), ("openai:b".into(), base.clone()));
        assert_eq!(model(Role::SubPlanner), ("vllm:c".into(), None));
        assert_eq!(model(Role::Worker), ("openai:a".into(), base));
        assert_eq!(model(Role::Judge), ("ollama:d".into(), None));
    }

    #[test]
    fn a_merger_has_the_workers_model_where_it_has_none_of_its_own() {
        let mut options = Options::new("goal", "/");
        name_models(&mut options, &["worker=vllm:w".to_owned()], &[]).unwrap();
        let model = |options: &Options, role| options.chosen(role).unwrap().choice.to_string();
        assert_eq!(model(&options, Role::Merger), "vllm:w");
        name_models(&mut options, &["merger=openai:m".to_owned()], &[]).unwrap();
        assert_eq!(model(&options, Role::Merger), "openai:m");
        assert_eq!(model(&options, Role::Worker), "vllm:w");
    }

    #[test]
    fn roles_in_flags_are_checked() {
        assert_eq!(split_role("worker=vllm:x").unwrap(), (Some("worker"), "vllm:x"));
        assert_eq!(split_role("http://a/?b=c").unwrap(), (None, "http://a/?b=c"));
        assert_eq!(split_role("openai:a=b").unwrap(), (None, "openai:a=b"));
        let error = split_role("wroker=vllm:x").unwrap_err().to_string();
        assert!(error.contains("`worker`"), "{error}");
    }
}
