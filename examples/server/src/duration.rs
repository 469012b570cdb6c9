//! Times as people write them.

use std::time::Duration;

/// Longer than any setting needs, and far from what timers can count.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads `500ms`, `10s`, `2m`, `12h` or `7d`; a bare number counts seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 500ms, 10s, 2m, 12h or 7d".to_owned();
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    duration.filter(|duration| *duration <= LONGEST).ok_or_else(|| "must be at most 366d".into())
}

/// The same, but not zero.
pub(crate) fn parse_some(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() { Err("must be longer than zero".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood_and_a_bare_number_counts_seconds() {
        let millis = |text: &str| parse(text).unwrap().as_millis();
        assert_eq!(millis("500ms"), 500);
        assert_eq!(millis("10s"), 10_000);
        assert_eq!(millis("10"), 10_000);
        assert_eq!(millis("2m"), 120_000);
        assert_eq!(millis("12h"), 43_200_000);
        assert_eq!(millis("7d"), 604_800_000);
        assert_eq!(millis("0"), 0);
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in ["", "s", "-1s", "1.5s", "10 sec", "99999999999999999999s"] {
            assert!(parse(text).unwrap_err().contains("such as"), "{text}");
        }
        assert!(parse("367d").unwrap_err().contains("at most"));
        assert!(parse("18446744073709551615d").unwrap_err().contains("at most"));
        assert!(parse_some("0s").unwrap_err().contains("longer"));
    }
}
