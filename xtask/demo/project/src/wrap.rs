//! Text broken into lines.

/// Lines of at most `width` characters, broken between words. A word that is
/// longer than a line stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn short_text_is_one_line() {
        assert_eq!(wrap("a b c", 80), ["a b c"]);
    }

    #[test]
    fn the_space_counts() {
        assert_eq!(wrap("four five", 8), ["four", "five"]);
    }

    #[test]
    fn a_long_word_stands_alone() {
        assert_eq!(wrap("extraordinary day", 5), ["extraordinary", "day"]);
    }

    #[test]
    fn nothing_makes_no_line() {
        assert_eq!(wrap("  ", 5), [""; 0]);
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert_eq!(wrap("äöü äöü", 7), ["äöü äöü"]);
    }
}
