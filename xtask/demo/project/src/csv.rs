//! One record of comma-separated values, as RFC 4180 writes it, without line
//! breaks inside a field.

/// The fields of a record. A field in quotes may hold commas, and `""` for a
/// quote.
pub fn parse_line(line: &str) -> Vec<String> {
    line.split(',').map(str::to_owned).collect()
}

#[cfg(test)]
mod parse_tests {
    use super::parse_line;

    #[test]
    fn commas_separate() {
        assert_eq!(parse_line("a,b,,c"), ["a", "b", "", "c"]);
    }

    #[test]
    fn quotes_protect_commas() {
        assert_eq!(parse_line(r#"1,"a, b",2"#), ["1", "a, b", "2"]);
    }

    #[test]
    fn two_quotes_are_one() {
        assert_eq!(parse_line(r#""say ""hi""",x"#), [r#"say "hi""#, "x"]);
    }
}

/// A record that [`parse_line`] reads back as the same fields.
pub fn write_line(fields: &[&str]) -> String {
    fields.join(",")
}

#[cfg(test)]
mod write_tests {
    use super::{parse_line, write_line};

    #[test]
    fn plain_fields_stay_plain() {
        assert_eq!(write_line(&["a", "b"]), "a,b");
    }

    #[test]
    fn commas_and_quotes_are_protected() {
        assert_eq!(write_line(&["a, b", r#"5" pipe"#]), r#""a, b","5"" pipe""#);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let fields = ["x,y", r#"""#, "", "z"];
        assert_eq!(parse_line(&write_line(&fields)), fields);
    }
}
