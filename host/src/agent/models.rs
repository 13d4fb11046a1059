//! Whom each role asks: its model, connected, with what it costs and how long
//! its answers may be. Which one that is, the options say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Chosen;
use crate::lm::Model;
use crate::lm::prices::Price;
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
    /// Connects to the model of each role, once to each that differs.
    pub async fn connect(options: &Options) -> Result<Self> {
        let mut connected: Vec<(Chosen, Model)> = Vec::new();
        let mut models = BTreeMap::new();
        for role in Role::ALL {
            let chosen = options.chosen(role)?;
            // Limits of output belong to the conversations, not to the model.
            let key = Chosen { max_output_tokens: None, ..chosen.clone() };
            let known = connected.iter().find(|(other, _)| *other == key);
            let model = match known {
                Some((_, model)) => model.clone(),
                None => {
                    let model = Model::connect(options.model_settings(&chosen)?).await?;
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
