//! Flags that say what may land, the same for `run` and `resume`.

use clap::Args;

use crate::Options;

#[derive(Args, Clone)]
#[group(skip)]
pub(super) struct LandingArguments {
    /// Let files land that hold what looks like a key.
    #[arg(long)]
    allow_secrets: bool,
}

impl LandingArguments {
    /// Lays what the flags say over the options.
    pub(super) fn overlay(&self, options: &mut Options) {
        options.allow_secrets |= self.allow_secrets;
    }
}
