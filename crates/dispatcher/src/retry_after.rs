use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The months as HTTP writes them.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Reads `Retry-After`: seconds, or an HTTP date read against the answer's own `Date` (this machine's clock may be off).
/// A date in the past means at once; what can't be read counts as absent.
pub(crate) fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than anybody waits.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let from = date.and_then(|date| http_date(date, now)).unwrap_or(now);
    // Where the server's clock is in another century, so is the year that it leaves out.
    let until = http_date(value, from)?;
    Some(Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO))
}

/// Reads a date in one of the three formats of RFC 9110.
pub fn http_date(value: &str, now: Timestamp) -> Option<Timestamp> {
    let value = value.trim();
    // The first is that of RFC 2822, with the zone "GMT".
    if let Ok(date) = jiff::fmt::rfc2822::parse(value) {
        return Some(date.timestamp());
    }
    rfc850_date(value, now).or_else(|| asctime_date(value))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850_date(value: &str, now: Timestamp) -> Option<Timestamp> {
    let (day_name, rest) = value.split_once(", ")?;
    if !DAYS.contains(&day_name) {
        return None;
    }
    let (date, time) = rest.strip_suffix(" GMT")?.split_once(' ')?;
    let mut parts = date.split('-');
    let (day, month) = (number(parts.next()?, 2)?, month(parts.next()?)?);
    let year: i16 = number(parts.next()?, 2)?;
    if parts.next().is_some() {
        return None;
    }
    let century = TimeZone::UTC.to_datetime(now).year() / 100 * 100;
    let of = |year: i16| moment(year, month, day, time);
    // What seems to lie more than fifty years ahead is the latest such year that is past.
    let latest = TimeZone::UTC.to_datetime(now).checked_add(jiff::Span::new().years(50)).ok()?;
    let latest = TimeZone::UTC.to_timestamp(latest).ok()?;
    let years = [century + 100 + year, century + year, century - 100 + year];
    years.into_iter().filter_map(of).find(|date| *date <= latest)
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime_date(value: &str) -> Option<Timestamp> {
    let mut parts = value.split_ascii_whitespace();
    let day_name = parts.next()?;
    if !DAYS.iter().any(|name| name[..3] == *day_name) {
        return None;
    }
    let (month, day, time, year) = (month(parts.next()?)?, parts.next()?, parts.next()?, number(parts.next()?, 4)?);
    let day = number(day, day.len().min(2))?;
    if parts.next().is_some() {
        return None;
    }
    moment(year, month, day, time)
}

fn month(name: &str) -> Option<i8> {
    MONTHS.iter().position(|month| *month == name).map(|at| at as i8 + 1)
}

/// A number of so many digits.
fn number<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn moment(year: i16, month: i8, day: i8, time: &str) -> Option<Timestamp> {
    let mut parts = time.split(':');
    let [hour, minute, second]: [i8; 3] =
        [number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?];
    if parts.next().is_some() {
        return None;
    }
    // A leap second is taken as the last of its minute.
    let date = DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok().filter(|_| second <= 60)?;
    TimeZone::UTC.to_timestamp(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn seconds_and_dates() {
        let now = at("2026-01-01T00:00:00Z");
        let read = |value, date| retry_after(value, date, now).map(|wait| wait.as_secs());
        assert_eq!(read("7", None), Some(7));
        assert_eq!(read(" 0 ", None), Some(0));
        assert_eq!(read("99999999999999999999999", None), Some(u64::from(u32::MAX)));
        assert_eq!(read("Thu, 01 Jan 2026 00:01:00 GMT", None), Some(60));
        let server = Some("Thu, 01 Jan 2026 00:00:50 GMT");
        assert_eq!(read("Thu, 01 Jan 2026 00:01:00 GMT", server), Some(10));
        assert_eq!(read("Wed, 31 Dec 2025 00:00:00 GMT", None), Some(0));
        for nonsense in ["", "soon", "-1", "1.5", "Thursday", "Thu Jan", "Thursday, 01-Jan-26", "Thu Jan 1 00:00 2026"]
        {
            assert_eq!(read(nonsense, None), None, "{nonsense:?}");
        }
    }

    #[test]
    fn the_two_old_formats_are_read_for_both_headers() {
        let now = at("2026-01-01T00:00:00Z");
        let read = |value, date| retry_after(value, date, now).map(|wait| wait.as_secs());
        let old = ["Thursday, 01-Jan-26 00:01:00 GMT", "Thu Jan  1 00:01:00 2026"];
        for value in old {
            assert_eq!(read(value, None), Some(60), "{value}");
            for date in
                ["Thu, 01 Jan 2026 00:00:50 GMT", "Thursday, 01-Jan-26 00:00:50 GMT", "Thu Jan  1 00:00:50 2026"]
            {
                assert_eq!(read(value, Some(date)), Some(10), "{value} at {date}");
            }
        }
        // The same moment in all three, as the RFC has it.
        let three = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        for date in three {
            assert_eq!(http_date(date, now), Some(at("1994-11-06T08:49:37Z")), "{date}");
        }
        for wrong in [
            "Thursday, 32-Jan-26 00:00:00 GMT",
            "Thursday, 1-Jan-26 00:00:00 GMT",
            "Thursday, 01-Jan-2026 00:00:00 GMT",
            "Thursday, 01-Jan-26 24:00:00 GMT",
            "Thursday, 01-Jan-26 00:00:00 CET",
            "Thu, 01-Jan-26 00:00:00 GMT",
            "Thu Jan 41 00:00:00 2026",
            "Thu Jan  1 00:00:00 26",
            "Fru Jan  1 00:00:00 2026",
            "Thu Jan  1 00:00:00 2026 GMT",
        ] {
            assert_eq!(read(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_fifty_years_ahead() {
        let read = |year: &str, now| {
            let date = http_date(&format!("Monday, 01-Jun-{year} 00:00:00 GMT"), at(now)).unwrap();
            TimeZone::UTC.to_datetime(date).year()
        };
        assert_eq!(read("26", "2026-01-01T00:00:00Z"), 2026);
        assert_eq!(read("75", "2026-01-01T00:00:00Z"), 2075);
        assert_eq!(read("76", "2026-01-01T00:00:00Z"), 1976);
        assert_eq!(read("76", "2026-06-02T00:00:00Z"), 2076);
        assert_eq!(read("94", "2026-01-01T00:00:00Z"), 1994);
        assert_eq!(read("01", "2099-12-31T00:00:00Z"), 2101);
        assert_eq!(read("99", "2000-01-01T00:00:00Z"), 1999);
    }
}
