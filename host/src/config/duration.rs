//! Durations as people write them: `90s`, `30m`, `2h`, `1d`, `1h30m`.

use std::time::Duration;

use crate::{Error, Result};

/// The units, the largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
/// More than a hundred years is a slip of the finger.
const LONGEST: u64 = 36_525 * 86_400;

/// Reads a duration; wrong usage where it is none, or zero.
pub fn parse(text: &str) -> Result<Duration> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        Error::usage(format!("`{shown}` is no duration; write it like 90s, 30m, 2h, 1d or 1h30m"))
    };
    let (mut seconds, mut rest) = (0_u64, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letter = unit.chars().next().ok_or_else(wrong)?;
        let (_, length) = UNITS.into_iter().find(|known| known.0 == letter).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        seconds = seconds.saturating_add(number.saturating_mul(length));
        rest = unit.get(letter.len_utf8()..).unwrap_or_default();
    }
    if seconds == 0 || seconds > LONGEST { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

/// Writes a duration in whole seconds the way it is read.
pub fn shown(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (letter, length) in UNITS {
        if left >= length {
            text.push_str(&format!("{}{letter}", left / length));
            left %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds, written) in [
            ("90s", 90, "1m30s"),
            (" 30m", 1800, "30m"),
            ("2h", 7200, "2h"),
            ("1d", 86_400, "1d"),
            ("1h30m", 5400, "1h30m"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!((duration.as_secs(), shown(duration).as_str()), (seconds, written));
        }
        for text in ["", "2", "h", "2w", "-1h", "1.5h", "0s", "1 h", "99999999999999999999s", "2ä"]
        {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains("1h30m"), "{text}: {error}");
        }
        assert!(parse("9999999999999d").is_err());
    }
}
