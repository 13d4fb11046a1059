//! `files`: reading the caller's checkout.

use crate::agent::Grant;
use crate::plugin::bindings::code_agent::plugin::files::{Hits, Host, Listing, Query};
use crate::plugin::convert::{ImportError, all};
use crate::plugin::state::CallState;
use crate::repo::path::CheckoutPath;
use crate::tools::{files, listing, search};

/// Paths of one listing: a guest holds them all at once, and so does the host.
const MOST_ENTRIES: u32 = 20_000;

impl Host for CallState {
    async fn read(
        &mut self,
        path: String,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, ImportError> {
        let agent = self.enter(Grant::Files)?;
        let path = CheckoutPath::parse_file(&path)?;
        Ok(agent.in_folder(move |folder| files::read(folder, &path, offset, length)).await?)
    }

    async fn read_lines(
        &mut self,
        path: String,
        first: u32,
        last: u32,
    ) -> Result<String, ImportError> {
        let agent = self.enter(Grant::Files)?;
        let path = CheckoutPath::parse_file(&path)?;
        Ok(agent.in_folder(move |folder| files::read_lines(folder, &path, first, last)).await?)
    }

    async fn list(&mut self, globs: Vec<String>, max_entries: u32) -> Result<Listing, ImportError> {
        let agent = self.enter(Grant::Files)?;
        let max_entries = max_entries.min(MOST_ENTRIES);
        let found = agent
            .in_folder(move |folder| {
                listing::list(folder, &CheckoutPath::top(), &globs, max_entries)
            })
            .await?;
        Ok(Listing {
            paths: found.paths.iter().map(ToString::to_string).collect(),
            truncated: found.truncated,
        })
    }

    async fn tree(&mut self, path: String, depth: u32) -> Result<String, ImportError> {
        let agent = self.enter(Grant::Files)?;
        let path = CheckoutPath::parse(&path)?;
        Ok(agent.in_folder(move |folder| listing::tree(folder, &path, depth)).await?)
    }

    async fn search(&mut self, query: Query) -> Result<Hits, ImportError> {
        let agent = self.enter(Grant::Files)?;
        let Query { pattern, globs, ignore_case, context_lines, max_hits } = query;
        let query = search::Query { pattern, globs, ignore_case, context_lines, max_hits };
        let found = agent.in_folder(move |folder| search::search(folder, &query)).await?;
        Ok(Hits { hits: all(found.hits), truncated: found.truncated })
    }
}
