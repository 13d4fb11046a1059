//! What every request of a conversation begins with: the model, the tools and
//! the system prompt, as the wire writes them. The agents of one role begin
//! alike, and what is alike is kept once. What follows is the body's.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

/// The beginning of a conversation's requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SharedOpening {
    /// Up to where the first piece comes.
    pub(super) bytes: Bytes,
    /// The names of the tools in it.
    pub(super) tools: Vec<String>,
}

/// The openings of the conversations that are open. There are never more than
/// these, for those of closed ones are forgotten.
#[derive(Debug, Default)]
pub(super) struct Openings(Mutex<Vec<Weak<SharedOpening>>>);

impl Openings {
    /// The opening of another conversation if that is the same, else this one.
    pub(super) fn share(&self, opening: SharedOpening) -> Arc<SharedOpening> {
        let mut openings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        openings.retain(|other| other.strong_count() > 0);
        // Those of different lengths differ at once; most are of a few roles.
        if let Some(same) = openings.iter().filter_map(Weak::upgrade).find(|o| **o == opening) {
            return same;
        }
        let opening = Arc::new(opening);
        openings.push(Arc::downgrade(&opening));
        opening
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_kept_once_and_as_long_as_somebody_has_it() {
        let openings = Openings::default();
        let opening = |text: &'static str| {
            let bytes = Bytes::from_static(text.as_bytes());
            openings.share(SharedOpening { bytes, tools: Vec::new() })
        };
        let kept = || openings.0.lock().unwrap().len();
        let (first, same, other) = (opening("one"), opening("one"), opening("two"));
        assert!(Arc::ptr_eq(&first, &same) && !Arc::ptr_eq(&first, &other));
        assert_eq!(kept(), 2);
        drop((first, same));
        let third = opening("three");
        assert_eq!(kept(), 2, "the first one is forgotten");
        drop((other, third));
    }
}
