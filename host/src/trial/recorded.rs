//! The replies of a call that a run's transcript has recorded, to be given again
//! in a trial.

use std::path::Path;

use super::case::Recorded;
use crate::transcript::{Entry, Lines};
use crate::types::Reply;
use crate::{Error, Result};

/// The replies of the call that is meant, in their order.
pub(super) fn replies(recorded: &Recorded, folder: &Path) -> Result<Vec<Reply>> {
    let path = folder.join(&recorded.transcript);
    let wanted = recorded.call.unwrap_or(1);
    let (mut seen, mut call) = (0, None);
    let mut replies = Vec::new();
    for line in Lines::open(&path)? {
        match line?.entry {
            Entry::Call { call: number, about } if about.agent == recorded.agent => {
                seen += 1;
                if seen == wanted {
                    call = Some(number);
                }
            }
            Entry::Reply { place, reply, .. } if Some(place.call) == call => replies.push(reply),
            _ => {}
        }
    }
    if call.is_none() {
        return Err(Error::usage(format!(
            "the transcript {} has {seen} calls of the agent `{}`, not {wanted}",
            path.display(),
            recorded.agent
        )));
    }
    Ok(replies)
}
