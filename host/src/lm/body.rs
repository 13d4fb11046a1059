//! The body of a conversation's requests: an opening, pieces that were written
//! once, and bytes that grow with them. Sending takes no copy, and neither does
//! the next piece, once the request before is out of the way.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::request::Request;
use super::wire::{Side, Wire};

/// A request body that can be sent at any time.
#[derive(Debug)]
pub(super) struct RequestBody {
    wire: Wire,
    /// What comes before the first piece; other conversations may share it.
    opening: Bytes,
    /// The rest of the request, closed.
    rest: Bytes,
    /// Where the last piece ends in it.
    open_end: usize,
    pieces: Vec<(Side, Range<usize>)>,
}

impl RequestBody {
    /// A request without pieces.
    pub(super) fn new(wire: Wire, opening: Bytes) -> Self {
        let mut body = Self { wire, opening, rest: Bytes::new(), open_end: 0, pieces: Vec::new() };
        body.close(BytesMut::new());
        body
    }

    /// The whole request. The bytes are shared, not copied.
    pub(super) fn request(&self) -> Request {
        Request { opening: self.opening.clone(), rest: self.rest.clone() }
    }

    /// The bytes of the whole request.
    pub(super) fn length(&self) -> usize {
        self.opening.len() + self.rest.len()
    }

    /// The bytes of all pieces together.
    pub(super) fn pieces_length(&self) -> usize {
        self.open_end
    }

    /// The bytes of one piece.
    pub(super) fn piece_length(&self, index: usize) -> usize {
        self.pieces.get(index).map_or(0, |(_, range)| range.len())
    }

    /// Adds a piece at the end.
    pub(super) fn append(&mut self, side: Side, piece: &[u8]) {
        // Without a copy if no request holds the bytes any more.
        let mut bytes = BytesMut::from(std::mem::take(&mut self.rest));
        bytes.truncate(self.open_end);
        self.push(&mut bytes, side, piece);
        self.close(bytes);
    }

    /// Puts other pieces in the place of those with these indices, in their
    /// order.
    pub(super) fn replace(&mut self, replacements: &[(usize, Vec<u8>)]) {
        let old = self.rest.clone();
        let pieces = std::mem::take(&mut self.pieces);
        let mut bytes = BytesMut::new();
        let mut replacements = replacements.iter().peekable();
        for (index, (side, range)) in pieces.into_iter().enumerate() {
            let piece = match replacements.next_if(|(place, _)| *place == index) {
                Some((_, replacement)) => replacement,
                None => old.get(range).unwrap_or_default(),
            };
            self.push(&mut bytes, side, piece);
        }
        self.close(bytes);
    }

    fn push(&mut self, bytes: &mut BytesMut, side: Side, piece: &[u8]) {
        let before = self.pieces.last().map(|(side, _)| *side);
        bytes.extend_from_slice(self.wire.between(before, side).as_bytes());
        let start = bytes.len();
        bytes.extend_from_slice(piece);
        self.open_end = bytes.len();
        self.pieces.push((side, start..self.open_end));
    }

    fn close(&mut self, mut bytes: BytesMut) {
        let last = self.pieces.last().map(|(side, _)| *side);
        bytes.extend_from_slice(self.wire.closing(last).as_bytes());
        self.rest = bytes.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(wire: Wire) -> RequestBody {
        let mut body = RequestBody::new(wire, Bytes::from_static(b"{\"messages\":["));
        let open = |text: &str| format!("{{\"text\":\"{text}\"").into_bytes();
        body.append(Side::User, &open("a"));
        body.append(Side::Assistant, b"{\"role\":\"assistant\"}");
        body.append(Side::User, &open("b"));
        body.append(Side::User, &open("c"));
        body.replace(&[(2, open("B"))]);
        body
    }

    #[test]
    fn results_and_words_of_the_user_are_one_message_and_its_end_is_marked() {
        let body = grown(Wire::Anthropic);
        let expected = serde_json::json!({ "messages": [
            { "role": "user", "content": [{ "text": "a" }] },
            { "role": "assistant" },
            { "role": "user", "content": [
                { "text": "B" },
                { "text": "c", "cache_control": { "type": "ephemeral" } },
            ] },
        ] });
        let read: serde_json::Value = serde_json::from_slice(&body.request().whole()).unwrap();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_piece_is_added_in_place_and_never_changes_what_is_being_sent() {
        let mut body = RequestBody::new(Wire::OpenAi { own: false }, Bytes::from_static(b"[0"));
        body.append(Side::User, &[b'1'; 64]);
        let before = body.rest.as_ptr();
        body.append(Side::User, b"2");
        assert_eq!(body.rest.as_ptr(), before, "nothing was copied");
        let sent = body.request();
        body.append(Side::User, b"3");
        assert!(sent.rest.ends_with(b",2]}") && body.rest.ends_with(b",2,3]}"));
    }
}
