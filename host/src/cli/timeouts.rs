//! The flags that say how long the model's server may take, the same for every
//! subcommand that asks it.

use clap::{Args, value_parser};

use crate::lm::Timeouts;

#[derive(Args, Clone)]
#[group(skip)]
pub(super) struct TimeoutArguments {
    /// How long the model's server may take to accept a connection [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    connect_timeout: Option<u32>,
    /// How long the model may take until its first word, the server's queue
    /// included [default: 600].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    first_token_timeout: Option<u32>,
    /// How long the model may pause in an answer [default: 60; vllm: and
    /// ollama: 300].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    gap_timeout: Option<u32>,
    /// How long one request may take in all [default: 3600].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    request_timeout: Option<u32>,
}

impl TimeoutArguments {
    /// What the flags say.
    pub(super) fn named(self) -> Timeouts {
        Timeouts {
            connect: self.connect_timeout,
            first_token: self.first_token_timeout,
            gap: self.gap_timeout,
            total: self.request_timeout,
        }
    }
}
