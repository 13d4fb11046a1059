//! What models cost: prices per million tokens, and the sums made of them.
//! Reads no file: prices that people set come in as data. How much may be
//! spent is `budget`'s business.
//!
//! Sums are whole picodollars, so that adding them up never rounds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ModelChoice, Provider};
use crate::types::Usage;

const PICODOLLARS: f64 = 1e12;
/// A price of one dollar for a million tokens, in picodollars a token.
const PER_TOKEN: f64 = 1e6;
/// Dollars for a million tokens; more is a slip of the finger.
const HIGHEST_PRICE: f64 = 100_000.0;

/// A sum of money, exact to a picodollar (a millionth of a millionth of a US
/// dollar); at most 18 million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many US dollars; none where that is negative or no number.
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        // The conversion saturates, so that a huge limit is no limit.
        (dollars.is_finite() && dollars >= 0.0)
            .then(|| Self((dollars * PICODOLLARS).round() as u64))
    }

    /// In US dollars.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / PICODOLLARS
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "${:.4}", self.dollars())
    }
}

/// What a model costs, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Price {
    /// Input that the server's cache did not have.
    pub input: f64,
    /// Input from the server's cache; none: as the other input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    /// What the model writes, reasoning included.
    pub output: f64,
}

impl Price {
    /// What a server on one's own machine costs.
    pub const FREE: Self = Self { input: 0.0, cached_input: None, output: 0.0 };

    /// Whether all figures can be prices.
    pub fn is_sound(&self) -> bool {
        [self.input, self.cached(), self.output]
            .iter()
            .all(|figure| (0.0..=HIGHEST_PRICE).contains(figure))
    }

    /// What requests that used so much cost.
    pub fn cost(&self, usage: Usage) -> Cost {
        let fresh = usage.input_tokens.saturating_sub(usage.cached_input_tokens);
        sum([
            (fresh, self.input),
            (usage.cached_input_tokens, self.cached()),
            (usage.output_tokens, self.output),
        ])
    }

    /// The most that a request can cost, wherever its input comes from.
    pub fn most(&self, usage: Usage) -> Cost {
        let dearest = self.input.max(self.cached());
        sum([(usage.input_tokens, dearest), (usage.output_tokens, self.output)])
    }

    fn cached(&self) -> f64 {
        self.cached_input.unwrap_or(self.input)
    }
}

fn sum<const N: usize>(parts: [(u64, f64); N]) -> Cost {
    parts.into_iter().fold(Cost::ZERO, |sum, (tokens, price)| {
        let per_token = (price * PER_TOKEN).round() as u64;
        sum.plus(Cost(tokens.saturating_mul(per_token)))
    })
}

/// The price of a model, as far as it is known. What the user has set comes
/// first, under `PROVIDER:NAME` or under `NAME`. A local server is free. The
/// figures below hold for the providers' own servers alone
/// (`at_another_address` is false): nobody knows what a gateway charges.
pub fn price(
    choice: &ModelChoice,
    at_another_address: bool,
    set: &BTreeMap<String, Price>,
) -> Option<Price> {
    let name = choice.name.as_deref();
    let set = set.get(&choice.to_string()).or_else(|| name.and_then(|name| set.get(name)));
    if let Some(price) = set {
        return Some(*price);
    }
    if matches!(choice.provider, Provider::Vllm | Provider::Ollama) {
        return Some(Price::FREE);
    }
    known(choice.provider.as_str(), name?).filter(|_| !at_another_address)
}

/// Looks a name up as it is, then without the date that a snapshot ends with:
/// `-2025-08-07` as OpenAI writes it, `-20251001` as Anthropic does.
fn known(provider: &str, name: &str) -> Option<Price> {
    let find = |wanted: &str| {
        KNOWN.iter().find(|row| row.0 == provider && row.1 == wanted).map(|row| Price {
            input: row.2,
            cached_input: Some(row.3),
            output: row.4,
        })
    };
    find(name).or_else(|| find(without_date(name)?))
}

fn without_date(name: &str) -> Option<&str> {
    ["-dddd-dd-dd", "-dddddddd"].into_iter().find_map(|form| {
        let (model, date) = name.split_at_checked(name.len().checked_sub(form.len())?)?;
        let fits = date.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            _ => byte == form,
        });
        fits.then_some(model)
    })
}

/// Provider, name, input, cached input, output.
///
/// All figures were read on 2026-11-22. OpenAI's are those of the page
/// `developers.openai.com/api/docs/models/NAME`, "Pricing", "Text tokens".
/// Anthropic's are those of `platform.claude.com/docs/en/about-claude/pricing`,
/// "Model pricing", and of `…/docs/en/models/NAME/overview`, "Pricing", where
/// nothing else is said; their `input` is the price of a five-minute cache
/// write, 1.25 times the plain one, because the requests ask for caching and
/// the usage does not tell the two apart.
///
/// Left out: models whose price depends on the length of the prompt (OpenAI's
/// from gpt-5.4 on, claude-haiku-5-5), since one figure would be too low for
/// some requests, and models that are no longer served.
const KNOWN: [(&str, &str, f64, f64, f64); 15] = [
    ("openai", "gpt-5.1", 1.25, 0.125, 10.0),
    ("openai", "gpt-5-mini", 0.25, 0.025, 2.0),
    ("openai", "gpt-5-nano", 0.05, 0.005, 0.4),
    ("anthropic", "claude-fable-5-1", 12.5, 0.25, 50.0),
    ("anthropic", "claude-fable-5", 12.5, 1.0, 50.0),
    // The overview tells 4 and 20; cache writes and reads after
    // apidog.com/jp/blog/claude-sonnet-5-5-pricing (5 and 0.20).
    ("anthropic", "claude-opus-5-5", 5.0, 0.2, 20.0),
    ("anthropic", "claude-opus-5", 6.25, 0.5, 25.0),
    ("anthropic", "claude-opus-4-8", 6.25, 0.5, 25.0),
    ("anthropic", "claude-opus-4-7", 6.25, 0.5, 25.0),
    ("anthropic", "claude-opus-4-6", 6.25, 0.5, 25.0),
    ("anthropic", "claude-opus-4-5", 6.25, 0.5, 25.0),
    // Others tell a cached price of 0.10 since 2026-10-07; the page has 0.20.
    ("anthropic", "claude-sonnet-5-5", 2.5, 0.2, 10.0),
    ("anthropic", "claude-sonnet-5", 2.5, 0.2, 10.0),
    // The overview tells 3 and 15, for cache writes and reads the page's
    // multipliers 1.25 and 0.1 were applied.
    ("anthropic", "claude-sonnet-4-6", 3.75, 0.3, 15.0),
    // Likewise, with 1 and 5.
    ("anthropic", "claude-haiku-4-5", 1.25, 0.1, 5.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, elsewhere: bool) -> Option<f64> {
        let own = Price { input: 7.0, cached_input: None, output: 9.0 };
        let set = BTreeMap::from([
            ("openai:gpt-5-nano".to_owned(), own),
            ("mine".to_owned(), own),
            ("vllm:".to_owned(), own),
        ]);
        price(&ModelChoice::parse(text).unwrap(), elsewhere, &set).map(|price| price.input)
    }

    #[test]
    fn a_name_matches_exactly_or_with_a_date() {
        assert_eq!(find("openai:gpt-5-mini", false), Some(0.25));
        assert_eq!(find("openai:gpt-5-mini-2025-08-07", false), Some(0.25));
        for unknown in ["gpt-5-mini-2025", "gpt-5-mini-2025-08-0x", "gpt-5", "ä", "5-mini"] {
            assert_eq!(find(unknown, false), None, "{unknown}");
        }
        assert_eq!(known("anthropic", "claude-haiku-4-5-20251001").unwrap().output, 5.0);
        assert_eq!(known("openai", "claude-haiku-4-5"), None);
    }

    #[test]
    fn set_prices_come_first_and_gateways_have_none_of_ours() {
        assert_eq!(find("openai:gpt-5-nano", false), Some(7.0));
        assert_eq!(find("openai:mine", true), Some(7.0));
        assert_eq!(find("openai:gpt-5-mini", true), None);
        assert_eq!(find("ollama:qwen3:8b", true), Some(0.0));
        assert_eq!(find("vllm:", false), Some(7.0));
    }

    #[test]
    fn costs_are_exact() {
        let price = Price { input: 2.5, cached_input: Some(0.25), output: 10.0 };
        let usage =
            Usage { input_tokens: 1_000_000, cached_input_tokens: 400_000, output_tokens: 3 };
        assert_eq!(price.cost(usage), Cost::from_dollars(1.60003).unwrap());
        assert_eq!(price.most(usage), Cost::from_dollars(2.50003).unwrap());
        let strange = Usage { input_tokens: 1, cached_input_tokens: 5, output_tokens: u64::MAX };
        assert_eq!(price.cost(strange), Cost(u64::MAX));
        assert_eq!(Cost::from_dollars(-1.0), None);
        assert!(!Price { input: f64::NAN, ..price }.is_sound());
        assert!(KNOWN.iter().all(|row| known(row.0, row.1).unwrap().is_sound()));
    }
}
