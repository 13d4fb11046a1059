//! Words: what stands between white space.

/// How many words there are.
pub fn count(text: &str) -> usize {
    text.split(' ').count()
}

/// Every word with a capital at its beginning, one space between them.
pub fn title_case(text: &str) -> String {
    text.split_whitespace().map(capitalised).collect::<Vec<_>>().join(" ")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{count, title_case};

    #[test]
    fn words_are_counted() {
        assert_eq!(count("one two three"), 3);
    }

    #[test]
    fn white_space_of_any_kind_separates() {
        assert_eq!(count(" one\ttwo\n\nthree  "), 3);
    }

    #[test]
    fn nothing_has_no_words() {
        assert_eq!(count(""), 0);
    }

    #[test]
    fn titles_begin_with_capitals() {
        assert_eq!(title_case("the  quick fox"), "The Quick Fox");
    }
}
