//! A request for a reply, as bytes that are shared and not copied: what all
//! requests of its conversation begin with, and the rest. How it is sent is the
//! exchange's business.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request's body. As a [`Body`] it lets go of each part that is taken.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) opening: Bytes,
    pub(super) rest: Bytes,
}

impl Request {
    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.opening.len() + self.rest.len()
    }

    /// A copy in one piece.
    pub(super) fn whole(&self) -> Bytes {
        [&*self.opening, &*self.rest].concat().into()
    }
}

impl Body for Request {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { opening, rest } = self.get_mut();
        let part = [opening, rest].into_iter().find(|part| !part.is_empty());
        Poll::Ready(part.map(|part| Ok(Frame::data(std::mem::take(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_its_parts_one_after_the_other_and_nothing_is_kept() {
        let request =
            Request { opening: Bytes::from_static(b"ab"), rest: Bytes::from_static(b"c") };
        assert_eq!((request.len(), &*request.whole()), (3, &b"abc"[..]));
        let mut body = request.clone();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut sent = Vec::new();
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
            sent.push((frame.into_data().unwrap(), body.size_hint().exact().unwrap()));
        }
        let expected = [(request.opening.clone(), 1), (request.rest.clone(), 0)];
        assert_eq!(sent, expected);
        assert!(body.is_end_stream());
    }
}
