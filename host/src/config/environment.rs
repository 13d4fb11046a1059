//! What the environment says: keys, addresses and the user's folders. A
//! provider's variables are for that provider alone: a local server must not
//! get a key that was not meant for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Options;
use super::models::name_provider_address;
use crate::Result;
use crate::lm::{Provider, Secret};

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Takes addresses from the environment: in place of those that a config has
/// named (`replace`), or only where there are none.
pub(super) fn name_addresses(options: &mut Options, replace: bool) -> Result<()> {
    for provider in Provider::ALL {
        if let Some(address) = provider.base_variable().and_then(variable) {
            name_provider_address(options, provider, &address, replace)?;
        }
    }
    Ok(())
}

/// The keys, by the provider's word: those of the environment before the
/// user's.
pub(super) fn keys(mut configured: BTreeMap<String, Secret>) -> BTreeMap<String, Secret> {
    for provider in Provider::ALL {
        if let Some(key) = variable(provider.key_variable()).as_deref().and_then(Secret::new) {
            configured.insert(provider.as_str().to_owned(), key);
        }
    }
    configured
}

/// The program's folder in a folder of the user's: the one that the XDG
/// variable names, or the usual one below the home.
pub(super) fn folder(xdg: &str, below_home: &str) -> Option<PathBuf> {
    let from =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from(xdg)
        .filter(|folder| folder.is_absolute())
        .or_else(|| from("HOME").map(|home| home.join(below_home)))
        .map(|folder| folder.join("code-agent"))
}
