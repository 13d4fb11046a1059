//! Flags that `run` and `resume` share: which models, how much, and whether it
//! is pushed.

use std::time::Duration;

use clap::Args;

use crate::config::{Named, duration};

#[derive(Args, Clone)]
pub(super) struct SpendingArguments {
    /// A model: openai:NAME, anthropic:NAME, vllm:, vllm:NAME, ollama:NAME; for one role with
    /// ROLE= before it (planner, main-planner, sub-planner, worker, merger, judge); or
    /// replay:FILE, a recorded run that is played back [a new run's default: vllm:].
    #[arg(long, value_name = "[ROLE=]MODEL")]
    model: Vec<String>,
    /// The address of the model's server, of one role's with ROLE= before it [default:
    /// OPENAI_BASE_URL or ANTHROPIC_BASE_URL for their providers, else the provider's usual one].
    #[arg(long, value_name = "[ROLE=]URL")]
    api_base: Vec<String>,
    /// How many cycles the run may have [a new run's default: 5].
    #[arg(long, value_name = "N")]
    max_cycles: Option<u32>,
    /// How many workers work at once [a new run's default: 10].
    #[arg(long, value_name = "N")]
    max_workers: Option<u32>,
    /// The most tokens that the run may use, input and output together.
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// The most that the run may cost, in US dollars.
    #[arg(long, value_name = "USD")]
    max_cost: Option<f64>,
    /// How long the run may take, all its resumptions together: 90s, 30m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    max_time: Option<Duration>,
    /// Don't push to the remote `origin` after each cycle.
    #[arg(long)]
    no_push: bool,
}

impl SpendingArguments {
    pub(super) fn named(self, branch: Option<String>) -> Named {
        Named {
            models: self.model,
            api_bases: self.api_base,
            branch,
            push: self.no_push.then_some(false),
            max_cycles: self.max_cycles,
            max_workers: self.max_workers,
            max_tokens: self.max_tokens,
            max_cost: self.max_cost,
            max_time: self.max_time,
        }
    }
}
