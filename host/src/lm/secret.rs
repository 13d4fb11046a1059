//! A text that no log, no error and no transcript shows. Knows nothing of
//! where it comes from or what it opens.

use std::fmt;

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
    /// their complaint.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "[key]")
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
        let secret = Secret::new(" sk-1234\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.redact("wrong key sk-1234."), "wrong key [key].");
        assert!(Secret::new("\n").is_none());
    }
}
