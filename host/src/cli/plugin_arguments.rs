//! Flags that say which plugins fill the roles and what they may do, the same
//! for `run`, `resume` and `doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::plugin::{Choice, manifest};
use crate::{Error, Options, Result};

#[derive(Args, Clone)]
#[group(skip)]
pub(super) struct PluginArguments {
    /// A folder with plugins.toml [default: the one shipped with the program]. Given more than
    /// once, the roles that a later folder fills are taken from the earlier ones.
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
    /// The plugin that fills a role where the folder has several, such as worker=careful; of
    /// judges all are asked, unless some are named.
    #[arg(long, value_name = "ROLE=PLUGIN")]
    role: Vec<String>,
    /// Give plugins what they ask for in plugins.toml, for this run (for good: code-agent
    /// plugin allow).
    #[arg(long)]
    allow_plugins: bool,
}

impl PluginArguments {
    /// Lays what the flags say over the options. Roles that are named here hold
    /// instead of those that were.
    pub(super) fn overlay(self, options: &mut Options) -> Result<()> {
        if !self.plugins.is_empty() {
            options.plugins = self.plugins;
        }
        options.allow_plugins |= self.allow_plugins;
        options.role_plugins.extend(choice(&self.role)?);
        Ok(())
    }
}

fn choice(words: &[String]) -> Result<Choice> {
    let mut choice = Choice::new();
    for word in words {
        let (role, plugin) = word.split_once('=').ok_or_else(|| {
            Error::usage(format!("--role {word} names no plugin; write --role ROLE=PLUGIN"))
        })?;
        let role = manifest::role(role).map_err(|why| Error::usage(format!("--role: {why}")))?;
        choice.entry(role).or_default().push(plugin.to_owned());
    }
    Ok(choice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Role;

    #[test]
    fn a_role_and_a_plugin_are_named() {
        let words = ["worker=careful", "judge=a", "judge=b"].map(str::to_owned);
        let choice = choice(&words).unwrap();
        assert_eq!(choice[&Role::Worker], ["careful"]);
        assert_eq!(choice[&Role::Judge], ["a", "b"]);
        for (wrong, words) in [("worker", "names no plugin"), ("wroker=x", "did you mean `worker`")]
        {
            let error = super::choice(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
