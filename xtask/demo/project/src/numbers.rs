//! Numbers written for people.

/// Digits in groups of three: `1,234,567`.
pub fn thousands(number: u64) -> String {
    number.to_string()
}

#[cfg(test)]
mod thousands_tests {
    use super::thousands;

    #[test]
    fn small_numbers_have_no_comma() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
    }

    #[test]
    fn groups_have_three_digits() {
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }
}

/// The place in a row: `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
pub fn ordinal(number: u64) -> String {
    let ending = match number % 10 {
        1 => "st",
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod ordinal_tests {
    use super::ordinal;

    #[test]
    fn the_last_digit_decides() {
        assert_eq!([1, 2, 3, 4, 21].map(ordinal), ["1st", "2nd", "3rd", "4th", "21st"]);
    }

    #[test]
    fn eleven_to_thirteen_are_different() {
        assert_eq!([11, 12, 13, 112].map(ordinal), ["11th", "12th", "13th", "112th"]);
    }
}
