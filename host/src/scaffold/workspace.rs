//! The `Cargo.toml` of a new plugin in Rust. The SDK goes along as source, and is
//! built as in its own workspace: with the same tables.

use toml::{Table, Value};

use crate::{Error, Result};

/// Where the SDK lies in the new folder; the contract is found from there.
pub(super) const SDK_FOLDER: &str = "vendor/plugins/sdk";

/// The template's text, and what the SDK needs of its workspace's.
pub(super) fn manifest(template: &str, workspace: &str) -> Result<String> {
    let broken = |error: &dyn std::fmt::Display| {
        Error::failed(format!("the SDK's workspace can't be read: {error}; please report it"))
    };
    let mut tables: Table = toml::from_str(workspace).map_err(|error| broken(&error))?;
    let workspace = tables.get_mut("workspace").and_then(Value::as_table_mut);
    let workspace = workspace.ok_or_else(|| broken(&"it has no [workspace]"))?;
    workspace.insert("members".into(), Value::Array(vec![SDK_FOLDER.into()]));
    let dependencies = workspace.get_mut("dependencies").and_then(Value::as_table_mut);
    let dependencies = dependencies.ok_or_else(|| broken(&"it has no dependencies"))?;
    let sdk = Table::from_iter([("path".to_owned(), Value::from(SDK_FOLDER))]);
    dependencies.insert("code-agent-sdk".into(), Value::Table(sdk));
    tables.retain(|name, _| name == "workspace" || name == "profile");
    let tables = toml::to_string(&tables).map_err(|error| broken(&error))?;
    Ok(format!("{template}\n# As in the SDK's own workspace.\n{tables}"))
}
