use std::{num::NonZeroU64, time::Duration};

use clap::builder::{StringValueParser, TypedValueParser};
use dispatcher::{MaxFailures, Rate};
use model::{Euid, Outcome, Reason, Shard, ShardFault};
use secrecy::SecretString;

/// No wait is longer than this; clocks can be added to without fear of overflow.
const LONGEST: Duration = Duration::from_hours(24 * 365);
/// More requests at once than one machine has ports for.
const MOST_IN_FLIGHT: usize = 65_536;
/// More threads than this only stand in each other's way.
const MOST_THREADS: usize = 64;
/// A rate above this is no limit.
const HIGHEST_RATE: u64 = 1_000_000_000;

/// `COLUMN=NAME` of `--map`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The column as it stands in the header.
    pub(crate) column: String,
    /// Its name from then on.
    pub(crate) name: String,
}

/// `500ms`, `30s`, `15m`, `2h`, `7d`, or a bare 0.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const HELP: &str = "say a whole number with its unit, as 500ms, 30s, 15m, 2h or 7d";
    const TOO_LONG: &str = "at most 365d";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if digits == 0 {
        return Err(HELP.to_owned());
    }
    let milliseconds_per = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(format!("{HELP}; did you mean {number}s?")),
        _ => return Err(HELP.to_owned()),
    };
    // Digits alone: what is no number has too many of them.
    let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds_per));
    milliseconds.map(Duration::from_millis).filter(|time| *time <= LONGEST).ok_or_else(|| TOO_LONG.to_owned())
}

/// A duration that is not 0.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be more than 0".to_owned()),
        time => Ok(time),
    }
}

/// `N/s`, `N/m`, `N/h` or `unlimited`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    const HELP: &str = "say a whole number per second, minute or hour, as 100/s, 30/m or 500/h, or unlimited";
    if text == "unlimited" {
        return Ok(Rate::Unlimited);
    }
    let Some((count, unit)) = text.split_once('/') else {
        let whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if whole { format!("{HELP}; did you mean {text}/s?") } else { HELP.to_owned() });
    };
    let per = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return Err(HELP.to_owned()),
    };
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HELP.to_owned());
    }
    match count.parse::<NonZeroU64>() {
        Ok(count) if count.get() <= HIGHEST_RATE => Ok(Rate::Limited { count, per }),
        Ok(_) => Err("at most 1000000000; for no limit say unlimited".to_owned()),
        Err(_) => Err(format!("it must be at least 1; {HELP}")),
    }
}

/// A rate, or `none` for no limit.
pub(crate) fn limit(text: &str) -> Result<Rate, String> {
    if text == "none" { Ok(Rate::Unlimited) } else { rate(text) }
}

/// `K/N`, K from 0.
pub(crate) fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|fault: ShardFault| match fault {
        ShardFault::Form if text.contains('$') => {
            format!("{fault}. Nobody filled in what begins with `$`: is the Job an Indexed one?")
        }
        fault => fault.to_string(),
    })
}

/// A reason by its word.
pub(crate) fn reason(text: &str) -> Result<Reason, String> {
    Reason::parse(text).ok_or_else(|| "no such reason; `contactsync explain` lists them".to_owned())
}

/// An outcome by its word.
pub(crate) fn outcome(text: &str) -> Result<Outcome, String> {
    let words = Outcome::ALL.map(Outcome::as_str).join(", ");
    Outcome::parse(text).ok_or_else(|| format!("it is one of {words}"))
}

/// `10`, `5%` or `none`.
pub(crate) fn max_failures(text: &str) -> Result<MaxFailures, String> {
    const HELP: &str = "say a number of rows as 10, a share as 5%, or none";
    if text == "none" {
        return Ok(MaxFailures::None);
    }
    let plain = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.strip_suffix('%') {
        Some(share) => match share.parse::<f64>() {
            Ok(share) if plain(text.trim_end_matches('%')) && share <= 100.0 => Ok(MaxFailures::Percent(share)),
            Ok(_) => Err("a share is between 0% and 100%".to_owned()),
            Err(_) => Err(HELP.to_owned()),
        },
        None => match text.parse::<u64>() {
            Ok(rows) if plain(text) => Ok(MaxFailures::Rows(rows)),
            _ => Err(HELP.to_owned()),
        },
    }
}

/// `,`, `;`, `|`, `tab` or `^A`, with which Hive divides fields.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "," => Ok(b','),
        ";" => Ok(b';'),
        "|" => Ok(b'|'),
        "tab" | "\t" | "\\t" => Ok(b'\t'),
        "^A" | "\u{1}" | "\\x01" | "\\001" => Ok(1),
        _ => Err("it is one of ',', ';', '|', tab and ^A (the byte 1)".to_owned()),
    }
}

/// A label of the WHATWG's encoding standard.
pub(crate) fn encoding(label: &str) -> Result<reader::Encoding, String> {
    reader::encoding_for_label(label)
        .ok_or_else(|| "no such encoding; common ones are utf-8, windows-1252, utf-16le, shift_jis and gbk".to_owned())
}

/// `COLUMN=NAME`. A column's name may hold `=`, a contact's rarely does: the last one divides.
pub(crate) fn mapping(text: &str) -> Result<Mapping, String> {
    match text.rsplit_once('=').map(|(column, name)| (column.trim(), name.trim())) {
        Some((column, name)) if !column.is_empty() && !name.is_empty() => {
            Ok(Mapping { column: column.to_owned(), name: name.to_owned() })
        }
        _ => Err("say which column gets which name, as 'E-mail Address=email'".to_owned()),
    }
}

/// A text that no message may show; checked later.
pub(crate) fn secret() -> impl TypedValueParser<Value = SecretString> {
    StringValueParser::new().map(SecretString::from)
}

/// A user's number.
pub(crate) fn euid(text: &str) -> Result<Euid, String> {
    Euid::parse(text).map_err(|_| "not an integer in 1 ..= 9223372036854775807".to_owned())
}

/// A fault of the sandbox.
pub(crate) fn fault(text: &str) -> Result<sandbox::Fault, String> {
    text.parse().map_err(|error: sandbox::FaultError| error.to_string())
}

/// A shape of answers by its name.
pub(crate) fn profile_shape(text: &str) -> Result<sandbox::ProfileShape, String> {
    text.parse().map_err(|error: sandbox::NoSuchShape| error.to_string())
}

/// A whole number from 1.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err("it is a whole number from 1".to_owned()),
    }
}

/// A whole number from 1, within what a burst can be.
pub(crate) fn positive_u32(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number),
        _ => Err("it is a whole number from 1 to 1000000".to_owned()),
    }
}

/// Requests at once.
pub(crate) fn in_flight(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST_IN_FLIGHT).contains(&number) => Ok(number),
        _ => Err(format!("it is a whole number from 1 to {MOST_IN_FLIGHT}")),
    }
}

/// Threads that send.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST_THREADS).contains(&number) => Ok(number),
        _ => Err(format!("it is a whole number from 1 to {MOST_THREADS}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("7d"), Ok(Duration::from_hours(7 * 24)));
        assert_eq!(
            duration("30").unwrap_err(),
            "say a whole number with its unit, as 500ms, 30s, 15m, 2h or 7d; did you mean 30s?"
        );
        for wrong in ["", "s", "-1s", "1.5s", "1w", "1D", " 1s", "1 s", "1S", "1d12h", "1e3s", "１s"] {
            let expected = "say a whole number with its unit, as 500ms, 30s, 15m, 2h or 7d";
            assert_eq!(duration(wrong).unwrap_err(), expected, "{wrong}");
        }
        for long in ["8761h", "366d", "9999999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(long).unwrap_err(), "at most 365d", "{long}");
        }
        assert_eq!(positive_duration("0ms").unwrap_err(), "it must be more than 0");
    }

    #[test]
    fn rates() {
        let limited = |count, per| Ok(Rate::Limited { count: NonZeroU64::new(count).unwrap(), per });
        assert_eq!(rate("100/s"), limited(100, Duration::from_secs(1)));
        assert_eq!(rate("30/m"), limited(30, Duration::from_mins(1)));
        assert_eq!(rate("500/h"), limited(500, Duration::from_hours(1)));
        assert_eq!(rate("unlimited"), Ok(Rate::Unlimited));
        assert!(rate("100").unwrap_err().ends_with("did you mean 100/s?"));
        for wrong in ["", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "1/d", "1/", "1/s/s", "99999999999/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_shares_of_failures() {
        assert_eq!(max_failures("10"), Ok(MaxFailures::Rows(10)));
        assert_eq!(max_failures("5%"), Ok(MaxFailures::Percent(5.0)));
        assert_eq!(max_failures("0.5%"), Ok(MaxFailures::Percent(0.5)));
        assert_eq!(max_failures("none"), Ok(MaxFailures::None));
        for wrong in ["", "%", "-1", "+1", "101%", "-5%", "nan%", "inf%", "1e1%", "ten", "0.5"] {
            assert!(max_failures(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_equals_sign_divides_a_mapping() {
        let mapping = |text| mapping(text).map(|mapping| (mapping.column, mapping.name));
        assert_eq!(mapping("E-mail Address=email"), Ok(("E-mail Address".into(), "email".into())));
        assert_eq!(mapping("a=b=email"), Ok(("a=b".into(), "email".into())));
        for wrong in ["", "email", "=email", "Email="] {
            assert!(mapping(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,12}|[0-9.%/a-z+-]{0,24}") {
            let _ = (duration(&text), rate(&text), max_failures(&text), delimiter(&text), mapping(&text));
            let _ = (positive(&text), positive_u32(&text), in_flight(&text), threads(&text));
        }
    }
}
