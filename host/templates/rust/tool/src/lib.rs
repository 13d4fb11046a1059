//! {{name}}: a tool that counts the words of a file.

use code_agent_sdk::types::Error;
use code_agent_sdk::{Tool, files};
use schemars::JsonSchema;
use serde::Deserialize;

/// The host hands out no larger piece of a file.
const LARGEST_FILE: u32 = 10 * 1024 * 1024;

/// Counts the words of a text file.
#[derive(Deserialize, JsonSchema)]
struct CountWords {
    /// The file, relative to the repository's top.
    path: String,
}

fn tools() -> Vec<Tool> {
    vec![Tool::new("count_words", count_words)]
}

code_agent_sdk::export_tools!(tools);

fn count_words(CountWords { path }: CountWords) -> Result<String, Error> {
    let contents = files::read(&path, 0, LARGEST_FILE).map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound(format!(
            "there is no file {path}; name one relative to the repository's top"
        )),
        other => other,
    })?;
    let words = String::from_utf8_lossy(&contents).split_whitespace().count();
    Ok(format!("{path} has {words} words"))
}
