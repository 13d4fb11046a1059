//! Blocks of text moved to the right.

/// `spaces` blanks before every line that isn't empty.
pub fn indent(text: &str, spaces: usize) -> String {
    let margin = " ".repeat(spaces);
    text.lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("{margin}{line}") })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::indent;

    #[test]
    fn lines_move_and_empty_ones_stay_empty() {
        assert_eq!(indent("a\n\nb", 2), "  a\n\n  b");
    }
}
