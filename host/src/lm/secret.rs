//! A text that no log, no error and no transcript shows. Knows nothing of
//! where it comes from or what it opens.

use std::fmt;

/// Bytes of the shortest key that is worth hiding; those that providers give
/// out have 20 and more.
const SHORTEST_SECRET: usize = 12;

/// A key. It can't be displayed or serialised, and its `Debug` is blank.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` without the white space around it, which a variable that
    /// was set from a file often ends with; none where nothing is left, since
    /// an empty variable means that there is no key.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The text itself, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Blanks the secret in a text from outside: servers repeat a wrong key in
    /// their complaint. A shorter text is no secret but what people give a
    /// local server (`x`, `EMPTY`), and blanking that would garble the
    /// model's own words.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.0.len() < SHORTEST_SECRET {
            text.to_owned()
        } else {
            text.replace(&self.0, "[key]")
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(" sk-0123456789\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.redact("wrong key sk-0123456789."), "wrong key [key].");
        assert_eq!(Secret::new("x").unwrap().redact("an example"), "an example");
        assert!(Secret::new("\n").is_none());
    }
}
