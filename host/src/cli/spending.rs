//! What is printed on stdout at a run's end of tokens and costs: a line for
//! each role and one for all.

use std::io::{self, Write};

use crate::queue::{RunStore, Spent};
use crate::types::Usage;
use crate::{Error, Result};

/// Prints the table; nothing where no model was asked.
pub(super) async fn print(store: &RunStore) -> Result<()> {
    let roles = store.spent_by_role().await?;
    let table = table(&roles);
    io::stdout()
        .lock()
        .write_all(table.as_bytes())
        .map_err(|error| Error::failed(format!("can't print the costs: {error}")))
}

fn table(roles: &[Spent]) -> String {
    if roles.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{:<12}  {:>8}  {:>12}  {:>12}  {:>12}  {:>12}\n",
        "role", "requests", "input", "cached", "output", "cost"
    );
    for role in roles {
        text.push_str(&line(role));
    }
    text.push_str(&line(&total(roles)));
    text
}

fn line(spent: &Spent) -> String {
    let Usage { input_tokens, cached_input_tokens, output_tokens } = spent.usage;
    let cost = match spent.unpriced {
        0 => format!("${:.4}", spent.cost_usd),
        unknown if unknown == spent.requests => "unknown".to_owned(),
        _ => format!("> ${:.4}", spent.cost_usd),
    };
    format!(
        "{:<12}  {:>8}  {:>12}  {:>12}  {:>12}  {:>12}\n",
        spent.role, spent.requests, input_tokens, cached_input_tokens, output_tokens, cost
    )
}

fn total(roles: &[Spent]) -> Spent {
    let sum = |part: fn(&Spent) -> u64| roles.iter().map(part).fold(0, u64::saturating_add);
    Spent {
        role: "all".to_owned(),
        requests: sum(|role| role.requests),
        usage: Usage {
            input_tokens: sum(|role| role.usage.input_tokens),
            cached_input_tokens: sum(|role| role.usage.cached_input_tokens),
            output_tokens: sum(|role| role.usage.output_tokens),
        },
        cost_usd: roles.iter().map(|role| role.cost_usd).sum(),
        unpriced: sum(|role| role.unpriced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_line_and_all_have_one() {
        let spent = |role: &str, requests, unpriced| Spent {
            role: role.to_owned(),
            requests,
            usage: Usage { input_tokens: 10, cached_input_tokens: 4, output_tokens: 2 },
            cost_usd: 0.5,
            unpriced,
        };
        let table = table(&[spent("worker", 3, 0), spent("judge", 1, 1)]);
        let rows: Vec<Vec<&str>> =
            table.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["worker", "3", "10", "4", "2", "$0.5000"]);
        assert_eq!(rows[1], ["judge", "1", "10", "4", "2", "unknown"]);
        assert_eq!(rows[2], ["all", "4", "20", "8", "4", ">", "$1.0000"]);
        assert_eq!(super::table(&[]), "");
    }
}
