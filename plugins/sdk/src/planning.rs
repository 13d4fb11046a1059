//! What both planners share: the tool `spawn_sub_planner`. Owns how a domain is
//! read and collected; how many there may be, and when a plan is good enough, is
//! the planner's business.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::one_line;
use crate::types::{Domain, Error};
use crate::{OwnTool, required_text};

/// Hands one domain to a sub-planner.
#[derive(Deserialize, JsonSchema)]
struct SpawnSubPlanner {
    /// Two to five words, unlike all other names.
    name: String,
    /// What is to be achieved in this domain and why; where its borders to the
    /// other domains lie; which conventions and interfaces hold; what you found
    /// out that its planner would have to find out again.
    description: String,
    /// Globs relative to the repository's root, such as `src/parser/**`. They say
    /// which files belong to this domain, including those to be created; no file
    /// belongs to two domains.
    file_patterns: Vec<String>,
}

/// The tool that hands a domain to a sub-planner. It collects only: all
/// sub-planners start together when the plan is submitted.
pub fn spawn_sub_planner<S: 'static, R: 'static>(
    description: &str,
    collect: impl Fn(&mut S, Domain) -> Result<String, Error> + 'static,
) -> OwnTool<S, R> {
    let spawn = move |state: &mut S, spawned| collect(state, into_domain(spawned)?);
    OwnTool::step("spawn_sub_planner", spawn).described(description)
}

fn into_domain(spawned: SpawnSubPlanner) -> Result<Domain, Error> {
    let name = required_text("name", &spawned.name)?;
    let description = required_text("description", &spawned.description)?;
    Ok(Domain { name: one_line(&name), description, file_patterns: spawned.file_patterns })
}

/// Adds a domain, if its name is new and there are fewer than `most`. Returns
/// what to tell the model.
///
/// # Errors
/// `invalid` for a domain that is not added.
pub fn add_domain(domains: &mut Vec<Domain>, domain: Domain, most: usize) -> Result<String, Error> {
    if domains.iter().any(|other| other.name == domain.name) {
        return Err(format!(
            "There is a domain `{}` already. Each domain is given once; for another area, call \
             again with another name.",
            domain.name
        )
        .into());
    }
    if domains.len() >= most {
        return Err(format!(
            "There are {most} domains already, and that is the limit: more of them overlap and \
             get in each other's way. `{}` was not added. Let it be part of a domain that you \
             have given, or submit the plan as it is.",
            domain.name
        )
        .into());
    }
    let name = domain.name.clone();
    domains.push(domain);
    Ok(format!(
        "Domain {} of at most {most} noted: {name}. Its sub-planner starts when you submit the \
         plan.",
        domains.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> Domain {
        Domain { name: name.into(), description: "d".into(), file_patterns: vec![] }
    }

    #[test]
    fn a_domain_too_many_or_twice_is_refused_with_the_reason() {
        let mut domains = Vec::new();
        assert!(add_domain(&mut domains, domain("a"), 2).is_ok());
        assert!(
            add_domain(&mut domains, domain("a"), 2).unwrap_err().to_string().contains("already")
        );
        assert!(add_domain(&mut domains, domain("b"), 2).is_ok());
        assert!(
            add_domain(&mut domains, domain("c"), 2).unwrap_err().to_string().contains("the limit")
        );
        assert_eq!(domains, [domain("a"), domain("b")]);
    }
}
