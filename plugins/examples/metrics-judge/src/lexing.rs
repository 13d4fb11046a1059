//! Tells code from comments and texts, line by line. Owns that scan. It knows
//! what `language` says and no grammar: regular expressions and here-documents
//! are code to it.

use crate::language::Language;

/// One line of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Without comments; a text is an empty one.
    pub code: String,
    /// What stands in comments.
    pub comment: String,
}

/// What the scan is inside of, from one line to the next.
enum Inside {
    Code,
    /// Until this ends it. Texts have escapes, comments and raw texts have none.
    Comment(&'static str),
    Text {
        end: String,
        escapes: bool,
    },
}

/// All lines of a file.
pub fn lines(text: &str, language: &Language) -> Vec<Line> {
    let mut inside = Inside::Code;
    text.lines().map(|line| scan(line, language, &mut inside)).collect()
}

fn scan(line: &str, language: &Language, inside: &mut Inside) -> Line {
    let mut found = Line::default();
    let mut rest = line;
    while !rest.is_empty() {
        rest = match inside {
            Inside::Comment(end) => match rest.split_once(*end) {
                Some((comment, after)) => {
                    found.comment.push_str(comment);
                    *inside = Inside::Code;
                    after
                }
                None => {
                    found.comment.push_str(rest);
                    ""
                }
            },
            Inside::Text { end, escapes } => match after_text(rest, end, *escapes) {
                Some(after) => {
                    *inside = Inside::Code;
                    after
                }
                None => "",
            },
            Inside::Code => code(rest, language, inside, &mut found),
        };
    }
    found
}

/// Takes one character of code, or what begins a comment or a text. Returns what
/// is left of the line.
fn code<'a>(rest: &'a str, language: &Language, inside: &mut Inside, found: &mut Line) -> &'a str {
    for begin in language.line_comments {
        if let Some(comment) = rest.strip_prefix(begin) {
            found.comment.push_str(comment);
            return "";
        }
    }
    if let Some((begin, end)) = language.block_comment
        && let Some(after) = rest.strip_prefix(begin)
    {
        *inside = Inside::Comment(end);
        return after;
    }
    if language.is_rust
        && let Some((end, after)) = rust_text(rest, found.code.chars().last())
    {
        found.code.push_str("\"\"");
        *inside = Inside::Text { end, escapes: false };
        return after;
    }
    for quote in language.long_texts {
        if let Some(after) = rest.strip_prefix(quote) {
            found.code.push_str("\"\"");
            *inside = Inside::Text { end: (*quote).to_owned(), escapes: true };
            return after;
        }
    }
    for quote in language.texts {
        if let Some(after) = rest.strip_prefix(quote) {
            found.code.push_str("\"\"");
            // One that is not closed is none: an apostrophe in a shell's text.
            return after_text(after, quote, true).unwrap_or(after);
        }
    }
    let mut letters = rest.chars();
    found.code.extend(letters.next());
    letters.as_str()
}

/// `r#"` begins a text that `"#` ends, and `'x'` is one; `'x` alone is a lifetime.
fn rust_text(rest: &str, before: Option<char>) -> Option<(String, &str)> {
    if let Some(after) = rest.strip_prefix('\'') {
        let mut letters = after.chars();
        let first = letters.next()?;
        let closed = first == '\\' || letters.next() == Some('\'');
        // An escaped quote does not end it.
        let inner = if first == '\\' { after.get(2..)? } else { after };
        return closed.then(|| ("'".to_owned(), inner));
    }
    if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let after = raw.get(hashes..)?.strip_prefix('"')?;
    Some((format!("\"{}", "#".repeat(hashes)), after))
}

/// What comes after the end of a text, if it ends on this line.
fn after_text<'a>(text: &'a str, end: &str, escapes: bool) -> Option<&'a str> {
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix(end) {
            return Some(after);
        }
        let mut letters = rest.chars();
        if letters.next()? == '\\' && escapes {
            letters.next();
        }
        rest = letters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;

    fn code_of(path: &str, text: &str) -> Vec<String> {
        let language = language::of(path).unwrap();
        lines(text, language).into_iter().map(|line| line.code.trim().to_owned()).collect()
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        assert_eq!(
            code_of("a.rs", "let a = \"// no\"; // yes\n/* if\nif */ b('\"', 'a', x::<'a>());"),
            ["let a = \"\";", "", "b(\"\", \"\", x::<'a>());"]
        );
        assert_eq!(
            code_of("a.rs", "f(r#\"a \" if\n b\"#, br\"\\\", '\\'', '\\\\') + for_r\"x\""),
            ["f(\"\"", ", \"\", \"\", \"\") + for_r\"\""]
        );
        assert_eq!(
            code_of("a.py", "x = '#' # c\n\"\"\"if\nif\"\"\" + 'it\\'s'\ny = f'{z}'"),
            ["x = \"\"", "\"\"", "+ \"\"", "y = f\"\""]
        );
        assert_eq!(
            code_of("a.ts", "`a\n// b ${c}` + \"\\\\\" // d\nx /* e */ y"),
            ["\"\"", "+ \"\"", "x  y"]
        );
    }

    #[test]
    fn what_is_in_comments_is_kept_apart() {
        let language = language::of("a.go").unwrap();
        let found = lines("a() // TODO b\n/* c\nd */ e()", language);
        let comments: Vec<_> = found.iter().map(|line| line.comment.trim()).collect();
        assert_eq!(comments, ["TODO b", "c", "d"]);
    }
}
