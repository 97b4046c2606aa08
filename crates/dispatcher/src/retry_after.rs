use std::time::Duration;

use jiff::Timestamp;

/// Reads `Retry-After`: seconds, or an HTTP date read against the answer's own `Date` (this machine's clock may be off).
/// A date in the past means at once; what can't be read counts as absent.
pub(crate) fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than anybody waits.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let until = http_date(value)?;
    let from = date.and_then(http_date).unwrap_or(now);
    Some(Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO))
}

fn http_date(value: &str) -> Option<Timestamp> {
    // RFC 9110 dates are RFC 2822 dates with the zone "GMT".
    jiff::fmt::rfc2822::parse(value.trim()).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let read = |value, date| retry_after(value, date, now).map(|wait| wait.as_secs());
        assert_eq!(read("7", None), Some(7));
        assert_eq!(read(" 0 ", None), Some(0));
        assert_eq!(read("99999999999999999999999", None), Some(u64::from(u32::MAX)));
        assert_eq!(read("Thu, 01 Jan 2026 00:01:00 GMT", None), Some(60));
        let server = Some("Thu, 01 Jan 2026 00:00:50 GMT");
        assert_eq!(read("Thu, 01 Jan 2026 00:01:00 GMT", server), Some(10));
        assert_eq!(read("Wed, 31 Dec 2025 00:00:00 GMT", None), Some(0));
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(read(nonsense, None), None, "{nonsense:?}");
        }
    }
}
