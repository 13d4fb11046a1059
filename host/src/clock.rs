//! The one place that time and ids come from, so that tests and replays can
//! fix them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use uuid::Uuid;

/// Tells the time and makes ids. Cheap to clone; clones agree with each other.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The machine's clock and random ids.
    System,
    /// Starts at a given time and moves on by a millisecond at each question.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that starts at `milliseconds` since 1970 and moves on by one at
    /// each question, so that a test sees the same times and ids every time.
    pub fn fixed(milliseconds: i64) -> Self {
        Self(Source::Fixed(Arc::new(AtomicI64::new(milliseconds))))
    }

    /// Moves a fixed clock on, for tests of what happens after a while.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: std::time::Duration) {
        let Source::Fixed(next) = &self.0 else { panic!("the machine's clock can't be moved") };
        next.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn milliseconds(&self) -> i64 {
        match &self.0 {
            Source::System => Timestamp::now().as_millisecond(),
            Source::Fixed(next) => next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Now, in the form in which times stand in the database: RFC 3339, UTC,
    /// always with milliseconds, so that text sorts as time does.
    pub fn timestamp(&self) -> String {
        format_milliseconds(self.milliseconds())
    }

    /// A new id: a version 7 UUID, so that ids sort by their age.
    pub fn id(&self) -> String {
        match &self.0 {
            Source::System => Uuid::now_v7().to_string(),
            Source::Fixed(_) => {
                let milliseconds = u64::try_from(self.milliseconds()).unwrap_or_default();
                uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10])
                    .into_uuid()
                    .to_string()
            }
        }
    }
}

/// Milliseconds since 1970 as RFC 3339 text; a time out of range as the
/// number itself, for it can only come from a broken clock.
pub fn format_milliseconds(milliseconds: i64) -> String {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => milliseconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_sort_by_age() {
        for clock in [Clock::system(), Clock::fixed(1_700_000_000_000)] {
            let ids: Vec<String> = (0..100).map(|_| clock.id()).collect();
            assert!(ids.is_sorted() && ids[0] != ids[99]);
        }
        assert_eq!(Clock::fixed(1_700_000_000_000).timestamp(), "2023-11-14T22:13:20.000Z");
    }
}
