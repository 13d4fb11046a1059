//! The body of a conversation's requests: pieces that were written once, and
//! bytes that grow with them. Sending takes no copy, and neither does the next
//! piece, once the request before is out of the way.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::wire::{Side, Wire};

/// A request body that can be sent at any time.
#[derive(Debug)]
pub(super) struct RequestBody {
    wire: Wire,
    /// The whole request, closed.
    bytes: Bytes,
    /// Where the first piece begins, with what stands before it.
    opening: usize,
    /// Where the last piece ends.
    open_end: usize,
    pieces: Vec<(Side, Range<usize>)>,
}

impl RequestBody {
    /// A request without pieces.
    pub(super) fn new(wire: Wire, opening: Vec<u8>) -> Self {
        let end = opening.len();
        let mut body =
            Self { wire, bytes: Bytes::new(), opening: end, open_end: end, pieces: Vec::new() };
        body.close(BytesMut::from(Bytes::from(opening)));
        body
    }

    /// The whole request. The bytes are shared, not copied.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The bytes of all pieces together.
    pub(super) fn pieces_length(&self) -> usize {
        self.open_end - self.opening
    }

    /// The bytes of one piece.
    pub(super) fn piece_length(&self, index: usize) -> usize {
        self.pieces.get(index).map_or(0, |(_, range)| range.len())
    }

    /// Adds a piece at the end.
    pub(super) fn append(&mut self, side: Side, piece: &[u8]) {
        // Without a copy if no request holds the bytes any more.
        let mut bytes = BytesMut::from(std::mem::take(&mut self.bytes));
        bytes.truncate(self.open_end);
        self.push(&mut bytes, side, piece);
        self.close(bytes);
    }

    /// Puts other pieces in the place of those with these indices, in their
    /// order.
    pub(super) fn replace(&mut self, replacements: &[(usize, Vec<u8>)]) {
        let old = self.bytes.clone();
        let pieces = std::mem::take(&mut self.pieces);
        let mut bytes = BytesMut::from(old.get(..self.opening).unwrap_or_default());
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
        self.bytes = bytes.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(wire: Wire) -> RequestBody {
        let mut body = RequestBody::new(wire, b"{\"messages\":[".to_vec());
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
        let read: serde_json::Value = serde_json::from_slice(&body.bytes()).unwrap();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_piece_is_added_in_place_and_never_changes_what_is_being_sent() {
        let mut body = RequestBody::new(Wire::OpenAi { own: false }, b"[0".to_vec());
        body.append(Side::User, &[b'1'; 64]);
        let before = body.bytes().as_ptr();
        body.append(Side::User, b"2");
        assert_eq!(body.bytes().as_ptr(), before, "nothing was copied");
        let sent = body.bytes();
        body.append(Side::User, b"3");
        assert!(sent.ends_with(b",2]}") && body.bytes().ends_with(b",2,3]}"));
    }
}
