//! What a command says, as much of it as a model wants to read: the beginning
//! and the end, with the length of what lies between.

/// Bytes that are kept of the beginning, and as many of the end.
const KEPT: usize = 16 * 1024;

/// The beginning and the end of what came. Holds no more than that.
#[derive(Debug, Default)]
pub(super) struct Shortened {
    head: Vec<u8>,
    tail: Vec<u8>,
    left_out: u64,
}

impl Shortened {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(KEPT - self.head.len());
        let (head, rest) = bytes.split_at(fits);
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        // Cut seldom, so that each byte is moved once or twice.
        if self.tail.len() > 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let too_many = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..too_many);
        self.left_out += too_many as u64;
    }

    /// The text; what is no UTF-8 becomes replacement characters.
    pub(super) fn text(mut self) -> String {
        self.cut();
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(&self.tail);
        if self.left_out == 0 {
            // A letter may lie on the border between the two.
            let whole = [self.head.as_slice(), self.tail.as_slice()].concat();
            return String::from_utf8_lossy(&whole).into_owned();
        }
        format!("{head}\n[… {} bytes are left out here …]\n{tail}", self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_stay() {
        let mut short = Shortened::default();
        for part in "äöü\n".repeat(3000).as_bytes().chunks(7) {
            short.push(part);
        }
        assert_eq!(short.text(), "äöü\n".repeat(3000));
        let mut long = Shortened::default();
        for number in 0..1_000_000 {
            long.push(format!("{number}\n").as_bytes());
        }
        assert!(long.head.len() + long.tail.len() <= 4 * KEPT);
        let text = long.text();
        assert!(text.starts_with("0\n1\n") && text.ends_with("999998\n999999\n"));
        assert!(text.contains(&format!("[… {} bytes are left out", 6_888_890 - 2 * KEPT)));
    }
}
