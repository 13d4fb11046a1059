//! What has to be known of a language to tell code from comments and texts, and
//! to count its decisions. Owns the table; a language that is not in it is not
//! measured.

/// A family of languages that are read alike.
pub struct Language {
    endings: &'static [&'static str],
    /// What begins a comment that ends with the line.
    pub line_comments: &'static [&'static str],
    /// What begins and ends a comment over several lines.
    pub block_comment: Option<(&'static str, &'static str)>,
    /// What begins and ends a text on one line.
    pub texts: &'static [&'static str],
    /// What begins and ends a text that may go on over lines.
    pub long_texts: &'static [&'static str],
    /// Whether `'` may stand before a name (Rust's lifetimes) and `r#"…"#` is a
    /// text.
    pub is_rust: bool,
    /// Words after which the program may go one way or another.
    pub decisions: &'static [&'static str],
    /// The same for what is no word.
    pub operators: &'static [&'static str],
}

/// The language of a file, by its ending.
pub fn of(path: &str) -> Option<&'static Language> {
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    LANGUAGES.iter().find(|language| language.endings.contains(&ending))
}

/// Globs for every file that is measured.
pub fn globs() -> Vec<String> {
    let endings = LANGUAGES.iter().flat_map(|language| language.endings);
    endings.map(|ending| format!("*.{ending}")).collect()
}

const BRACES: Language = Language {
    endings: &[
        "c", "h", "cc", "cpp", "cxx", "hpp", "java", "kt", "cs", "swift", "scala", "dart", "php",
    ],
    line_comments: &["//"],
    block_comment: Some(("/*", "*/")),
    texts: &["\"", "'"],
    long_texts: &["\"\"\""],
    is_rust: false,
    decisions: &["if", "for", "foreach", "while", "case", "catch", "when", "guard"],
    operators: &["&&", "||"],
};

static LANGUAGES: [Language; 6] = [
    BRACES,
    Language {
        endings: &["rs"],
        texts: &[],
        long_texts: &["\""],
        is_rust: true,
        decisions: &["if", "for", "while", "loop"],
        operators: &["&&", "||", "=>"],
        ..BRACES
    },
    Language {
        endings: &["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"],
        long_texts: &["`"],
        operators: &["&&", "||", "??"],
        ..BRACES
    },
    Language { endings: &["go"], long_texts: &["`"], decisions: &["if", "for", "case"], ..BRACES },
    Language {
        endings: &["py", "pyi"],
        line_comments: &["#"],
        block_comment: None,
        long_texts: &["\"\"\"", "'''"],
        decisions: &["if", "elif", "for", "while", "case", "except", "and", "or"],
        operators: &[],
        ..BRACES
    },
    Language {
        endings: &["rb", "sh", "bash"],
        line_comments: &["#"],
        block_comment: None,
        long_texts: &[],
        decisions: &["if", "elif", "elsif", "unless", "for", "while", "until", "when", "rescue"],
        operators: &["&&", "||"],
        ..BRACES
    },
];
