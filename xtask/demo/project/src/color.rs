//! Colours as web pages write them.

/// Red, green and blue of `#rrggbb` or the short form `#rgb`; anything else is
/// no colour.
pub fn parse_hex(text: &str) -> Option<(u8, u8, u8)> {
    let digits = text.strip_prefix('#')?;
    let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    Some((part(0)?, part(2)?, part(4)?))
}

#[cfg(test)]
mod tests {
    use super::parse_hex;

    #[test]
    fn six_digits_are_three_bytes() {
        assert_eq!(parse_hex("#ff8000"), Some((255, 128, 0)));
    }

    #[test]
    fn three_digits_count_twice() {
        assert_eq!(parse_hex("#f80"), Some((255, 136, 0)));
    }

    #[test]
    fn anything_else_is_no_colour() {
        for text in ["", "ff8000", "#ff80", "#ggg", "#ff800000", "#äöü", "#+1+1+1"] {
            assert_eq!(parse_hex(text), None, "{text}");
        }
    }
}
