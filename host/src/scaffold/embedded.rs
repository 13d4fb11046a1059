//! What the program carries: templates, the contract and the SDK, as they were
//! when it was built.

use std::borrow::Cow;

use rust_embed::Embed;

use crate::{Error, Result};

/// `host/templates`.
#[derive(Embed)]
#[folder = "templates/"]
pub(super) struct Templates;

/// The contract's text.
#[derive(Embed)]
#[folder = "../wit/"]
#[include = "*.wit"]
pub(super) struct Contract;

/// The SDK's sources, and the workspace that it is built in.
#[derive(Embed)]
#[folder = "../plugins/"]
#[include = "Cargo.toml"]
#[include = "sdk/Cargo.toml"]
#[include = "sdk/**/*.rs"]
#[include = "sdk/**/*.md"]
pub(super) struct Sdk;

/// All files below a folder, by their path in it.
pub(super) fn texts<E: Embed>(folder: &str) -> Result<Vec<(String, String)>> {
    let names: Vec<Cow<'static, str>> = E::iter().collect();
    let below = names.iter().filter_map(|name| Some((name, name.strip_prefix(folder)?)));
    below.map(|(name, path)| Ok((path.to_owned(), text::<E>(name)?))).collect()
}

/// One file.
pub(super) fn text<E: Embed>(name: &str) -> Result<String> {
    let missing = |why: &str| Error::failed(format!("the template {name} {why}; please report it"));
    let file = E::get(name).ok_or_else(|| missing("is not there"))?;
    String::from_utf8(file.data.into_owned()).map_err(|_| missing("is no text"))
}
