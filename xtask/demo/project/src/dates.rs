//! The Gregorian calendar.

/// Whether the year has a 29th of February.
pub fn is_leap(year: u32) -> bool {
    year % 4 == 0
}

/// The days of a month from 1 to 12; any other number is no month.
pub fn days_in_month(year: u32, month: u32) -> Option<u32> {
    match month {
        2 if is_leap(year) => Some(29),
        2 => Some(28),
        4 | 6 | 9 | 11 => Some(30),
        _ => Some(31),
    }
}

#[cfg(test)]
mod tests {
    use super::{days_in_month, is_leap};

    #[test]
    fn every_fourth_year_is_leap() {
        assert!(is_leap(2024));
        assert!(!is_leap(2023));
    }

    #[test]
    fn centuries_are_leap_only_every_fourth_time() {
        assert!(!is_leap(1900));
        assert!(is_leap(2000));
    }

    #[test]
    fn months_have_their_days() {
        assert_eq!(days_in_month(2023, 2), Some(28));
        assert_eq!(days_in_month(2024, 4), Some(30));
        assert_eq!(days_in_month(2024, 12), Some(31));
    }

    #[test]
    fn there_are_twelve_months() {
        assert_eq!(days_in_month(2024, 0), None);
        assert_eq!(days_in_month(2024, 13), None);
    }
}
