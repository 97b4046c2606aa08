/// Milliseconds since 1970 as RFC 3339 UTC with milliseconds: `2026-01-31T09:08:07.006Z`.
pub fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn milliseconds_are_always_written() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(super::rfc3339(1_769_850_487_006), "2026-01-31T09:08:07.006Z");
    }
}
