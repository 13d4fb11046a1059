//! What looks like a key in a file: tokens of well-known shapes, and private
//! keys in PEM. Pure: knows bytes and lines, and nothing of git. Better one
//! example too many than one key too few: whoever is stopped can write it in
//! another way. So examples from documentation count as well, and the only
//! placeholder that is known as one is a row of `x`.

use std::ops::Range;

/// More finds in one file are not looked at, since nobody wrote them by hand.
const MOST_FINDS: usize = 10_000;
/// No private key is longer, in bytes.
const LONGEST_PEM: usize = 64 * 1024;
/// So much of a token is looked at, in bytes: lines that never end cost no time.
const LONGEST_TOKEN: usize = 512;
/// So many letters of a key in a row are one, whatever stands around them.
const PEM_ROW: usize = 16;
/// So many are enough in the line after a header that stands alone.
const PEM_START: usize = 3;

const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_END: &[u8] = b"-----END ";
const PEM_KIND: [&[u8]; 2] = [b"PRIVATE KEY-----", b"PRIVATE KEY BLOCK-----"];

/// Something that looks like a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Find {
    /// Counts from 1.
    pub(super) line: usize,
    /// What it looks like, in words.
    pub(super) what: &'static str,
    /// Where the lines stand that make it up.
    pub(super) bytes: Range<usize>,
}

/// What a token looks like.
struct Shape {
    what: &'static str,
    prefixes: &'static [&'static str],
    /// What may follow the prefix besides letters and digits.
    besides: &'static [u8],
    /// How much of that has to follow: at least, or exactly.
    length: Length,
    /// Which letters and digits it has to hold, so that it is no plain word.
    holds: fn(&[u8]) -> bool,
}

enum Length {
    AtLeast(usize),
    Exactly(usize),
}

const SHAPES: &[Shape] = &[
    Shape {
        what: "an AWS access key",
        prefixes: &["AKIA", "ASIA"],
        besides: b"",
        length: Length::Exactly(16),
        holds: |body| !body.iter().any(u8::is_ascii_lowercase),
    },
    Shape {
        what: "a GitHub token",
        prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        besides: b"",
        length: Length::AtLeast(36),
        holds: |_| true,
    },
    Shape {
        what: "a GitHub token",
        prefixes: &["github_pat_"],
        besides: b"_",
        length: Length::AtLeast(36),
        holds: |_| true,
    },
    Shape {
        what: "a Slack token",
        prefixes: &["xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"],
        besides: b"-",
        length: Length::AtLeast(15),
        holds: has_digit,
    },
    Shape {
        what: "a model provider's key",
        prefixes: &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-ant-", "sk-or-"],
        besides: b"-_",
        length: Length::AtLeast(20),
        holds: has_digit,
    },
    Shape {
        what: "an OpenAI key",
        prefixes: &["sk-"],
        besides: b"",
        length: Length::AtLeast(20),
        holds: |body| has_digit(body) || body.iter().any(u8::is_ascii_uppercase),
    },
    Shape {
        what: "a Google API key",
        prefixes: &["AIza"],
        besides: b"-_",
        length: Length::Exactly(35),
        holds: |_| true,
    },
];

/// All that looks like a key, in the order of the lines.
pub(super) fn find(bytes: &[u8]) -> Vec<Find> {
    let mut found = Vec::new();
    let mut start = 0;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let lines = start..start + line.len();
        let number = index + 1;
        if let Some(what) = token(line) {
            found.push(Find { line: number, what, bytes: lines.clone() });
        }
        if let Some(end) = private_key(bytes, lines) {
            found.push(Find { line: number, what: "a private key", bytes: start..end });
        }
        if found.len() >= MOST_FINDS {
            break;
        }
        start += line.len() + 1;
    }
    found
}

/// What the line's first token is, if it holds one.
fn token(line: &[u8]) -> Option<&'static str> {
    let mut before = b' ';
    for (at, &byte) in line.iter().enumerate() {
        // `task-` and `disk-` are words, and so is `x-sk-`.
        let begins = match byte {
            b'A' | b'g' | b'x' => !is_word(before),
            b's' => !is_word(before) && before != b'-',
            _ => false,
        };
        before = byte;
        if begins && let Some(shape) = SHAPES.iter().find(|shape| shape.fits(&line[at..])) {
            return Some(shape.what);
        }
    }
    None
}

impl Shape {
    fn fits(&self, text: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| {
            text.strip_prefix(prefix.as_bytes()).is_some_and(|rest| self.fits_body(rest))
        })
    }

    fn fits_body(&self, rest: &[u8]) -> bool {
        let rest = &rest[..rest.len().min(LONGEST_TOKEN)];
        let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || self.besides.contains(byte);
        let length = rest.iter().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        let (body, after) = rest.split_at(length);
        let is_long = match self.length {
            Length::AtLeast(least) => length >= least,
            Length::Exactly(exactly) => length == exactly && !after.starts_with(b"_"),
        };
        let is_placeholder = body.iter().all(|byte| matches!(byte, b'x' | b'X' | b'-' | b'_'));
        is_long && !is_placeholder && (self.holds)(body)
    }
}

/// Where the private key ends that begins in this line, if one does. A header
/// alone is none: programs that read keys name it.
fn private_key(bytes: &[u8], line: Range<usize>) -> Option<usize> {
    let text = &bytes[line.clone()];
    let begin = position(text, PEM_BEGIN)?;
    let header = &text[begin..];
    let length = PEM_KIND.iter().find_map(|kind| Some(position(header, kind)? + kind.len()))?;
    let body = line.start + begin + length;
    if !is_body(&bytes[body..]) {
        return None;
    }
    // Written with `\n` in one line, it ends where that does.
    let mut end = line.end;
    if position(&bytes[body..end], PEM_END).is_some() {
        return Some(end);
    }
    let longest = bytes.len().min(line.start + LONGEST_PEM);
    for line in bytes.get(end + 1..longest).unwrap_or_default().split(|byte| *byte == b'\n') {
        end += 1 + line.len();
        if position(line, PEM_END).is_some() {
            break;
        }
    }
    Some(end)
}

/// Whether a key's letters follow: in the next line, or behind what stands
/// between the pieces of a string in a program.
fn is_body(text: &[u8]) -> bool {
    let plain = text.iter().take_while(|byte| byte.is_ascii_whitespace());
    let plain =
        plain.fold((0, false), |(length, ended), byte| (length + 1, ended || *byte == b'\n'));
    if plain.1 && row(&text[plain.0..]) >= PEM_START {
        return true;
    }
    let mut rest = text;
    loop {
        rest = match rest {
            [b'\\', b'n' | b'r', after @ ..] => after,
            [
                b' ' | b'\t' | b'\r' | b'\n' | b'\\' | b'"' | b'\'' | b'`' | b',' | b'+',
                after @ ..,
            ] => {
                // A `+` may be the key's own first letter; one less does not matter.
                after
            }
            _ => return row(rest) >= PEM_ROW,
        };
    }
}

/// How many letters of base64 come first.
fn row(text: &[u8]) -> usize {
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.iter().take_while(is_letter).count()
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn has_digit(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit)
}

/// Whether a token can't begin after it.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written in pieces, so that nobody takes this file for one that holds keys.
    const PEM: &str = concat!("-----BEGIN RSA PRIV", "ATE KEY-----");
    const PEM_LAST: &str = concat!("-----END RSA PRIV", "ATE KEY-----");

    fn whats(text: &str) -> Vec<(usize, &'static str)> {
        find(text.as_bytes()).into_iter().map(|found| (found.line, found.what)).collect()
    }

    #[test]
    fn keys_are_found_with_their_line() {
        let body36 = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
        for (text, what) in [
            (concat!("AKIA", "QYLPMN5HHHFPZAM2").to_owned(), "an AWS access key"),
            (format!("export KEY='{}'", concat!("ASIA", "QYLPMN5HHHFPZAM2")), "an AWS access key"),
            // Examples from documentation are refused, too.
            (concat!("key = \"AKIA", "IOSFODNN7EXAMPLE\"").to_owned(), "an AWS access key"),
            (format!("token: ghp_{body36}"), "a GitHub token"),
            (format!("https://ghs_{body36}@github.com/a/b"), "a GitHub token"),
            (format!("x(github_pat_11ABCDEFG0_{body36})"), "a GitHub token"),
            (format!("{}-123456789012-abcDEF123456", "xoxb"), "a Slack token"),
            (format!("OPENAI_API_KEY=sk-{body36}"), "an OpenAI key"),
            (format!("\"sk-{}\"", "0123456789abcdef0123456789abcdef"), "an OpenAI key"),
            (format!("sk-proj-{body36}_-x"), "a model provider's key"),
            (format!("sk-ant-api03-{body36}"), "a model provider's key"),
            (
                format!("?key={}{}", "AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
                "a Google API key",
            ),
            (format!("{PEM}\nMIIEow\n{PEM_LAST}"), "a private key"),
            (format!("  {PEM}\r\n  Proc-Type: 4,ENCRYPTED\n\n  ab\n"), "a private key"),
            (format!("k = \"{PEM}\\nMIIEowIBAAKCAQEA1\\n{PEM_LAST}\""), "a private key"),
            (format!("'{PEM}\\n' +\n    'MIIEowIBAAKCAQEA1' +\n"), "a private key"),
            (PEM.replace("RSA ", "") + "\nMC4CAQ\n", "a private key"),
            (PEM.replace("RSA", "OPENSSH") + "\nb3Bl\n", "a private key"),
            (PEM.replace("RSA", "PGP").replace("KEY", "KEY BLOCK") + "\n\nlQOY\n", "a private key"),
        ] {
            assert_eq!(whats(&format!("first\n{text}\nlast\n")), [(2, what)], "{text}");
        }
    }

    #[test]
    fn what_only_reminds_of_a_key_is_none() {
        for text in [
            "AWS keys begin with AKIA, and AKIA alone is none; AKIA1234 neither".to_owned(),
            "AKIAIOSFODNN7EXAMPLEANDMUCHMORE and akiaiosfodnn7example".to_owned(),
            "XAKIAQYLPMN5HHHFPZAM2 and AKIAQYLPMN5HHHFPZAM2_x".to_owned(),
            "ghp_short ghp_ github_pat_ and ghp_test_token_that_is_a_name_of_a_function_x1"
                .to_owned(),
            format!("ghp_{} sk-{}", "x".repeat(36), "X".repeat(48)),
            ".sk-estimator-doc-link.fitted .sk-toggleable__content sk-circle-fade-dot".to_owned(),
            "sk-howtowriteaverylongclassname sk-... sk-<your key> task-0123456789abcdef01234"
                .to_owned(),
            "sk-ant-your-key-goes-in-this-place xoxb-your-bot-token-here".to_owned(),
            "AIzaSy AIza and AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6QandSoOn".to_owned(),
            format!("if text.contains(\"{PEM}\") {{ parse_the_private_key() }}"),
            format!("const BEGIN = \"{PEM}\";\nconst END = \"{PEM_LAST}\";"),
            format!("{PEM}\n...\n{PEM_LAST}\n"),
            PEM.replace("RSA PRIVATE", "PUBLIC") + "\nMIIBIjANBgkqhkiG9w0BAQEFAAOC\n",
            PEM.replace("RSA PRIVATE KEY", "CERTIFICATE") + "\nMIIBIjANBgkqhkiG9w0BAQEFAAOC\n",
        ] {
            assert_eq!(whats(&text), [], "{text}");
        }
        assert_eq!(find(b"\0\xff\xfeAKIA\0"), []);
    }

    #[test]
    fn a_private_key_reaches_to_its_end() {
        let text = format!("a\n{PEM}\nMIIE\nowIB\n{PEM_LAST}\nb\n");
        let found = find(text.as_bytes());
        assert_eq!(&text[found[0].bytes.clone()], &text[2..text.len() - 3]);
        let cut = format!("{PEM}\nMIIE");
        assert_eq!(find(cut.as_bytes())[0].bytes, 0..cut.len());
        let long = cut.clone() + &"MIIE\n".repeat(LONGEST_PEM);
        assert_eq!(find(long.as_bytes())[0].bytes, 0..LONGEST_PEM);
    }

    #[test]
    fn a_line_that_never_ends_is_looked_at_once() {
        for piece in ["xoxb-", "ghp_a-", "-----BEGIN PRIV"] {
            assert_eq!(whats(&piece.repeat(400_000)), [], "{piece}");
        }
    }
}
