use std::time::{Duration, Instant};

use jiff::{Span, Timestamp, ZonedDateTime, civil::Time, tz::TimeZone};

use crate::{
    args::{Until, WindowArgs},
    exit::Exit,
    failure::Failure,
};

/// A time of the day that was reached less than so long ago is over, not tomorrow's: a job that began late must not run
/// all day.
const OVER_FOR_HOURS: i64 = 6;

/// For how long is sent: until a point in time by the machine's clock, which may be set meanwhile, and for so long by one
/// that nobody sets. Whichever comes first.
#[derive(Debug, Clone, Default)]
pub(crate) struct SendingWindow {
    until: Option<(Timestamp, String)>,
    max_duration: Option<(Instant, String)>,
}

impl SendingWindow {
    /// What the arguments say; it counts from now on.
    pub(super) fn of(args: &WindowArgs) -> Result<Self, Failure> {
        let until = match args.until {
            None => None,
            Some(Until::At(at)) if at <= Timestamp::now() => {
                let hint =
                    "name a later one; a time of the day, as 06:00, is taken as the next one there is".to_owned();
                return Err(Failure::usage(format!("the time of `--until`, {at}, is past")).with_hint(hint));
            }
            Some(Until::At(at)) => Some((at, at.to_string())),
            Some(Until::TimeOfDay { hour, minute }) => {
                let end = end_of(hour, minute, &ZonedDateTime::now().with_time_zone(local()?))?;
                Some((end, format!("{hour:02}:{minute:02}")))
            }
        };
        let in_words = |time: Duration| (Instant::now() + time, format!("{time:?}"));
        Ok(Self { until, max_duration: args.max_duration.map(in_words) })
    }

    /// Whether it has an end at all.
    pub(crate) fn ends(&self) -> bool {
        self.until.is_some() || self.max_duration.is_some()
    }

    /// What ended it, where it is over.
    pub(crate) fn over(&self) -> Option<String> {
        if let Some((end, shown)) = &self.until
            && *end <= Timestamp::now()
        {
            return Some(format!("it is {shown} (--until)"));
        }
        let (end, shown) = self.max_duration.as_ref()?;
        (*end <= Instant::now()).then(|| format!("the run has taken {shown} (--max-duration)"))
    }

    /// How long it lasts still, as far as the clocks can tell now.
    pub(crate) fn left(&self) -> Duration {
        let until = self.until.as_ref().map(|(end, _)| {
            let left = end.duration_since(Timestamp::now());
            left.try_into().unwrap_or(Duration::ZERO)
        });
        let max_duration = self.max_duration.as_ref().map(|(end, _)| end.saturating_duration_since(Instant::now()));
        until.into_iter().chain(max_duration).min().unwrap_or(Duration::MAX)
    }

    /// Status 7 where it is over before anything was sent.
    pub(crate) fn refuse_where_over(&self) -> Result<(), Failure> {
        match self.over() {
            None => Ok(()),
            Some(what) => {
                let hint = "nothing was sent or read back; the same command does it within another window".to_owned();
                Err(Failure::new(Exit::TimeWindow, format!("stopped before the first request: {what}")).with_hint(hint))
            }
        }
    }
}

/// The zone of the machine; without one, as in small containers, it is UTC.
fn local() -> Result<TimeZone, Failure> {
    TimeZone::try_system().or_else(|error| {
        if std::env::var_os("TZ").is_none_or(|zone| zone.is_empty()) {
            return Ok(TimeZone::UTC);
        }
        let hint = "say a point in time with its offset, as 2026-11-25T06:00:00+01:00".to_owned();
        Err(Failure::usage(format!("what `--until` means can't be told: {error}")).with_hint(hint))
    })
}

/// The next such time of the day, or the last one where it was reached a short while ago. One that the clocks skip is
/// taken as the one behind the gap, one that comes twice as the earlier.
fn end_of(hour: i8, minute: i8, now: &ZonedDateTime) -> Result<Timestamp, Failure> {
    let outside = |error: jiff::Error| Failure::usage(format!("what `--until` means can't be told: {error}"));
    let time = Time::new(hour, minute, 0, 0).map_err(outside)?;
    let on_day = |days: i64| {
        let day = now.date().checked_add(Span::new().days(days)).map_err(outside)?;
        Ok::<_, Failure>(day.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).map_err(outside)?.timestamp())
    };
    let oldest = now.timestamp() - Duration::from_hours(OVER_FOR_HOURS as u64);
    for days in -1..=1 {
        let end = on_day(days)?;
        if end > oldest {
            return Ok(end);
        }
    }
    on_day(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(hour: i8, minute: i8, now: &str) -> String {
        let now: ZonedDateTime = now.parse().unwrap();
        end_of(hour, minute, &now).unwrap().to_zoned_datetime(now.time_zone().clone()).to_string()
    }

    #[test]
    fn a_time_of_the_day_is_the_next_one_unless_it_was_just_reached() {
        let berlin = |time: &str| format!("2026-11-{time}+01:00[Europe/Berlin]");
        for (now, expected) in [
            ("24T22:00:00", "25T06:00:00"),
            ("25T01:00:00", "25T06:00:00"),
            ("25T05:59:59", "25T06:00:00"),
            // Over: the job began late.
            ("25T06:00:00", "25T06:00:00"),
            ("25T06:05:00", "25T06:00:00"),
            ("25T11:59:00", "25T06:00:00"),
            ("25T12:00:00", "26T06:00:00"),
        ] {
            assert_eq!(end(6, 0, &berlin(now)), berlin(expected), "at {now}");
        }
        // Over midnight.
        assert_eq!(end(23, 30, &berlin("25T00:10:00")), berlin("24T23:30:00"));
        assert_eq!(end(0, 0, &berlin("24T18:00:00")), berlin("25T00:00:00"));
    }

    #[test]
    fn times_that_the_clocks_skip_or_repeat() {
        let spring = end(2, 30, "2026-03-28T22:00:00+01:00[Europe/Berlin]");
        assert_eq!(spring, "2026-03-29T03:30:00+02:00[Europe/Berlin]");
        let autumn = end(2, 30, "2026-10-24T22:00:00+02:00[Europe/Berlin]");
        assert_eq!(autumn, "2026-10-25T02:30:00+02:00[Europe/Berlin]");
    }

    #[test]
    fn the_first_of_both_ends_it() {
        let soon = Timestamp::now() + Duration::from_hours(1);
        let window = |until, max_duration: Option<u64>| {
            let max_duration = max_duration.map(Duration::from_secs);
            SendingWindow::of(&WindowArgs { until, max_duration }).unwrap()
        };
        assert!(!window(None, None).ends() && window(None, None).over().is_none());
        let both = window(Some(Until::At(soon)), Some(7_200));
        assert!(both.ends() && both.over().is_none() && both.left() <= Duration::from_hours(1));
        assert!(window(Some(Until::At(soon)), Some(60)).left() <= Duration::from_mins(1));
        let past = SendingWindow { until: Some((Timestamp::now(), "06:00".to_owned())), max_duration: None };
        assert_eq!((past.over().unwrap(), past.left()), ("it is 06:00 (--until)".to_owned(), Duration::ZERO));
        assert_eq!(past.refuse_where_over().unwrap_err().exit, Exit::TimeWindow);
        let args = WindowArgs { until: Some(Until::At(Timestamp::UNIX_EPOCH)), max_duration: None };
        assert_eq!(SendingWindow::of(&args).unwrap_err().exit, Exit::Usage);
    }
}
