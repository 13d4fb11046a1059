//! What to do about replies that call no tool: a model that stopped is reminded
//! once, one whose answer was cut is told so. Owns the count of such replies in a
//! row and the words for the model.

use crate::lm::{Reply, StopReason};
use crate::message::clip;
use crate::turns::QUOTED;
use crate::types::Error;

/// So many answers in a row without a call may be cut at the output limit.
const MOST_CUTS: u32 = 3;

/// Replies in a row that called nothing.
#[derive(Default)]
pub(crate) struct Silence {
    ended: u32,
    cut: u32,
}

impl Silence {
    /// Notes a reply without a call and says what to tell the model.
    pub(crate) fn note(&mut self, reply: &Reply, finish: &str) -> Result<String, Error> {
        if reply.stop == StopReason::Length {
            self.cut += 1;
            return if self.cut < MOST_CUTS {
                Ok(cut_notice())
            } else {
                Err(Error::TooLong(format!(
                    "the model's answer was cut at the output limit {MOST_CUTS} times in a row; \
                     raise the setting `max-output-tokens` or make the task smaller"
                )))
            };
        }
        self.ended += 1;
        if self.ended < 2 {
            Ok(format!(
                "You called no tool. Nobody reads what you write here; only tool calls count. If \
                 your work is done, call `{finish}` now. If it is not, go on with it by calling \
                 a tool."
            ))
        } else {
            let text = clip(&reply.text, QUOTED);
            Err(Error::Invalid(format!(
                "the model stopped without calling `{finish}`, though it was reminded; it said: \
                 {text}"
            )))
        }
    }
}

fn cut_notice() -> String {
    "Your answer was cut off at the output limit, before it called a tool. Think and write less, \
     and go on with the next call. Write a long file in several steps."
        .to_owned()
}
