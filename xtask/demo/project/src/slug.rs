//! Titles as parts of an address.

/// Lower-case letters and digits, with one `-` between words.
pub fn slug(title: &str) -> String {
    title
        .split(|letter: char| !letter.is_alphanumeric())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn words_are_joined() {
        assert_eq!(slug("one two"), "one-two");
    }

    #[test]
    fn letters_become_lower_case() {
        assert_eq!(slug("Hello World"), "hello-world");
    }

    #[test]
    fn runs_of_other_characters_count_once() {
        assert_eq!(slug("  what -- is this?  "), "what-is-this");
    }
}
