use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::values;

/// For how long is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct WindowArgs {
    /// Stop then, with status 7: at the next such time of this machine's day, as 06:00 (one that was reached less than six
    /// hours ago is over), or at a point in time, as 2026-11-25T06:00:00+01:00; --resume goes on [default: none]
    #[arg(long, value_name = "HH:MM|TIME", value_parser = until, hide_short_help = true)]
    pub(crate) until: Option<Until>,
    /// Stop so long after the start, with status 7; --resume goes on [default: none]
    #[arg(long, value_name = "DURATION", value_parser = values::positive_duration, hide_short_help = true)]
    pub(crate) max_duration: Option<Duration>,
}

/// `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// A time of the day, local.
    TimeOfDay {
        /// 0 to 23.
        hour: i8,
        /// 0 to 59.
        minute: i8,
    },
    /// A point in time.
    At(Timestamp),
}

/// `06:00`, or a point in time as RFC 3339 has it.
fn until(text: &str) -> Result<Until, String> {
    const HELP: &str =
        "say a time of the day as 06:00, or a point in time with its offset as 2026-11-25T06:00:00+01:00";
    if let Some((hour, minute)) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2) {
        let number = |digits: &str, below: i8| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<i8>().ok().filter(|number| is_number && *number < below)
        };
        let (Some(hour), Some(minute)) = (number(hour, 24), number(minute, 60)) else { return Err(HELP.to_owned()) };
        return Ok(Until::TimeOfDay { hour, minute });
    }
    text.parse().map(Until::At).map_err(|_| HELP.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_and_points_in_time() {
        assert_eq!(until("06:05"), Ok(Until::TimeOfDay { hour: 6, minute: 5 }));
        assert_eq!(until("00:00"), Ok(Until::TimeOfDay { hour: 0, minute: 0 }));
        for same in ["2026-11-25T06:00:00+01:00", "2026-11-25T05:00:00Z", "2026-11-25T05:00:00.000Z"] {
            assert_eq!(until(same), Ok(Until::At("2026-11-25T05:00:00Z".parse().unwrap())), "{same}");
        }
        for wrong in ["", "6:00", "24:00", "12:60", "-1:00", "+6:00", "06:00:00", "06.00", "2026-11-25", "noon"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
        assert!(until("2026-11-25T06:00:00").is_err(), "without an offset it could be any of many");
    }
}
