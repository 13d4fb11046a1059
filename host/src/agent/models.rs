//! Whom each role asks: its model, connected, with what it costs and how long
//! its answers may be. Which one that is, the options say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Chosen;
use crate::lm::prices::Price;
use crate::lm::{Model, ModelSettings, Paces};
use crate::transcript::Replay;
use crate::types::Role;
use crate::{Error, Options, Result};

/// A role's model.
#[derive(Clone, Debug)]
pub struct RoleModel {
    /// The model; roles with the same settings share one.
    pub model: Model,
    /// What it costs, where that is known.
    pub price: Option<Price>,
    /// The most tokens that one answer may have, where the user has said so.
    pub max_output_tokens: Option<u32>,
}

/// The models of all roles.
#[derive(Clone, Debug)]
pub struct RoleModels(Arc<BTreeMap<Role, RoleModel>>);

impl RoleModels {
    /// Connects to the model of each role, once to each that differs; to none
    /// in a replay.
    pub async fn connect(options: &Options, replay: Option<&Arc<Replay>>) -> Result<Self> {
        let mut models = BTreeMap::new();
        if let Some(replay) = replay {
            return Ok(Self::one(Model::replayed_from(replay.clone())));
        }
        // Models at one address share what its server takes.
        let paces = Paces::default();
        let mut connected: Vec<(Chosen, Model)> = Vec::new();
        for role in Role::ALL {
            let chosen = options.chosen(role)?;
            // Limits of output belong to the conversations, not to the model.
            let key = Chosen { max_output_tokens: None, ..chosen.clone() };
            let known = connected.iter().find(|(other, _)| *other == key);
            let model = match known {
                Some((_, model)) => model.clone(),
                None => {
                    let settings = options.model_settings(&chosen)?;
                    let settings = ModelSettings { paces: paces.clone(), ..settings };
                    let model = Model::connect(settings).await?;
                    connected.push((key, model.clone()));
                    model
                }
            };
            let price = options.price(&chosen);
            let max_output_tokens = chosen.max_output_tokens;
            models.insert(role, RoleModel { model, price, max_output_tokens });
        }
        Ok(Self(Arc::new(models)))
    }

    /// One model for all roles, which costs nothing.
    pub fn one(model: Model) -> Self {
        let model = RoleModel { model, price: Some(Price::FREE), max_output_tokens: None };
        Self(Arc::new(Role::ALL.map(|role| (role, model.clone())).into()))
    }

    /// A role's model.
    pub fn of(&self, role: Role) -> Result<&RoleModel> {
        self.0
            .get(&role)
            .ok_or_else(|| Error::failed(format!("the role {role} has no model; please report it")))
    }

    /// The models' names, each once, for people.
    pub fn names(&self) -> String {
        let names: BTreeSet<&str> = self.0.values().map(|role| role.model.name()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use model_server::{ModelServer, Rule, Script, text};

    use super::*;
    use crate::config::ModelOptions;

    #[tokio::test]
    async fn models_at_one_address_share_the_cap_of_its_requests() {
        let rule = Rule::new(None, &[]).turn(text("Done."));
        let script = Script { max_in_flight: Some(2), delay_ms: Some(1), ..Script::new([rule]) };
        let server = ModelServer::start(script).unwrap();
        let mut options = Options::new("goal", "/");
        options.lm = "vllm:large".into();
        options.api_base = Some(server.base_url());
        options.max_requests = Some(2);
        let small = ModelOptions { model: Some("vllm:small".into()), ..ModelOptions::default() };
        options.role_models.insert("worker".into(), small);
        let models = RoleModels::connect(&options, None).await.unwrap();

        let talks: Vec<_> = (0..20)
            .map(|index| {
                let role = if index % 2 == 0 { Role::Worker } else { Role::Judge };
                let model = models.of(role).unwrap().model.clone();
                tokio::spawn(async move {
                    let mut talk = model.open(String::new(), Vec::new(), None).unwrap();
                    talk.say("Hi".into()).unwrap();
                    assert_eq!(talk.reply().await.unwrap().text, "Done.");
                })
            })
            .collect();
        for talk in talks {
            talk.await.unwrap();
        }
        assert_eq!((server.load().refusals, server.load().most_in_flight), (vec![], 2));
        let asked = |name| server.requests().iter().filter(|one| one.model == name).count();
        assert_eq!((asked("large"), asked("small")), (10, 10));
    }
}
