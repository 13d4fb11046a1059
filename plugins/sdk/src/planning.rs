//! What both planners share: the tools `spawn_sub_planner` and `submit_plan`.
//! Owns how a domain is read and collected; how many there may be, and when a
//! plan is good enough, is the planner's business.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::OwnTool;
use crate::message::one_line;
use crate::tool::required_text;
use crate::types::Domain;

#[derive(Deserialize)]
struct DomainArguments {
    name: String,
    description: String,
    file_patterns: Vec<String>,
}

#[derive(Deserialize)]
struct PlanArguments {
    overview: String,
}

/// The tool that hands a domain to a sub-planner. It collects only: all
/// sub-planners start together when the plan is submitted.
pub fn spawn_sub_planner<S: 'static, R: 'static>(
    description: &str,
    collect: impl Fn(&mut S, Domain) -> Result<String, String> + 'static,
) -> OwnTool<S, R> {
    OwnTool::step("spawn_sub_planner", description, domain_schema(), move |state, arguments| {
        collect(state, into_domain(arguments)?)
    })
}

/// The tool that ends a planner's work; `handle` gets the overview.
pub fn submit_plan<S: 'static, R: 'static>(
    description: &str,
    overview: &str,
    handle: impl Fn(&mut S, String) -> Result<R, String> + 'static,
) -> OwnTool<S, R> {
    let schema = json!({
        "type": "object",
        "properties": {"overview": {"type": "string", "description": overview}},
        "required": ["overview"],
        "additionalProperties": false,
    });
    OwnTool::finish("submit_plan", description, schema, move |state, arguments: PlanArguments| {
        handle(state, required_text("overview", &arguments.overview)?)
    })
}

/// Adds a domain, if its name is new and there are fewer than `most`. Returns
/// what to tell the model.
pub fn add_domain(
    domains: &mut Vec<Domain>,
    domain: Domain,
    most: usize,
) -> Result<String, String> {
    if domains.iter().any(|other| other.name == domain.name) {
        return Err(format!(
            "There is a domain `{}` already. Each domain is given once; for another area, call \
             again with another name.",
            domain.name
        ));
    }
    if domains.len() >= most {
        return Err(format!(
            "There are {most} domains already, and that is the limit: more of them overlap and \
             get in each other's way. `{}` was not added. Let it be part of a domain that you \
             have given, or submit the plan as it is.",
            domain.name
        ));
    }
    let name = domain.name.clone();
    domains.push(domain);
    Ok(format!(
        "Domain {} of at most {most} noted: {name}. Its sub-planner starts when you submit the \
         plan.",
        domains.len()
    ))
}

fn into_domain(arguments: DomainArguments) -> Result<Domain, String> {
    let name = required_text("name", &arguments.name)?;
    let description = required_text("description", &arguments.description)?;
    Ok(Domain { name: one_line(&name), description, file_patterns: arguments.file_patterns })
}

fn domain_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "Two to five words, unlike all other names."},
            "description": {
                "type": "string",
                "description": "What is to be achieved in this domain and why; where its borders \
                    to the other domains lie; which conventions and interfaces hold; what you \
                    found out that its planner would have to find out again.",
            },
            "file_patterns": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Globs relative to the repository's root, such as `src/parser/**`. \
                    They say which files belong to this domain, including those to be created; no \
                    file belongs to two domains.",
            },
        },
        "required": ["name", "description", "file_patterns"],
        "additionalProperties": false,
    })
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
        assert!(add_domain(&mut domains, domain("a"), 2).unwrap_err().contains("already"));
        assert!(add_domain(&mut domains, domain("b"), 2).is_ok());
        assert!(add_domain(&mut domains, domain("c"), 2).unwrap_err().contains("the limit"));
        assert_eq!(domains, [domain("a"), domain("b")]);
    }
}
