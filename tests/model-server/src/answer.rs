//! What goes back to the client: bytes in pieces, and how they end. Knows
//! nothing of scripts and wires.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::json;

use crate::load::InFlight;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// An answer before it is sent.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) end: End,
    pub(crate) retry_after: Option<u64>,
    /// The tokens that it tells, input and output together.
    pub(crate) tokens: u64,
    /// Counts as in flight until the last piece is sent.
    pub(crate) in_flight: Option<InFlight>,
}

/// How the bytes of an answer end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// After the last piece, as they should.
    Proper,
    /// Nothing more comes, and the connection stays open.
    Stall,
    /// The connection is closed.
    Reset,
    /// The last piece comes again, so many times.
    Repeat(usize),
}

impl Answer {
    pub(crate) fn whole(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: JSON,
            pieces: vec![body.into()],
            end: End::Proper,
            retry_after: None,
            tokens: 0,
            in_flight: None,
        }
    }

    /// A complaint that both wires understand.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let kind = match status {
            429 => "rate_limit_error",
            529 => "overloaded_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        };
        let error = json!({ "type": kind, "message": message });
        Self::whole(status, json!({ "type": "error", "error": error }).to_string())
    }
}

/// An answer while it is sent.
pub(crate) struct AnswerBody {
    length: Option<u64>,
    pieces: VecDeque<Bytes>,
    end: End,
    in_flight: Option<InFlight>,
}

impl AnswerBody {
    pub(crate) fn new(answer: Answer) -> Self {
        let Answer { content_type, pieces, end, in_flight, .. } = answer;
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let known = end == End::Proper && content_type != EVENTS;
        Self { length: known.then_some(length), pieces: pieces.into(), end, in_flight }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = &mut *self;
        if body.pieces.len() == 1
            && let End::Repeat(times) = &mut body.end
            && *times > 0
        {
            *times -= 1;
            let piece = body.pieces.front().cloned().unwrap_or_default();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if body.pieces.len() == 1 && body.end == End::Proper {
            // The work is done before the client hears of it, so that its
            // next request is not refused because of this one.
            drop(body.in_flight.take());
        }
        match (body.pieces.pop_front(), &body.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            // Nothing wakes this up: the client goes away at some time.
            (None, End::Stall) => Poll::Pending,
            (None, End::Reset) => {
                Poll::Ready(Some(Err(io::Error::other("the script wants a reset"))))
            }
            (None, End::Proper | End::Repeat(_)) => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
