use std::fmt;

use clap::Args;

/// What must be so of the whole input before anything is sent.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Plan")]
pub(crate) struct PlanArgs {
    /// Read, validate and compare, say what would be sent, and send nothing: no report is written, and no credentials are
    /// needed but for --compare-service (never from environment or configuration) [default: off]
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Under --empty clear: send nothing where more rows would clear a contact than so many, or than so many percent of the
    /// valid rows: 500, 1% or none; counted before anything is sent, so of a pipe only with --spool [default: 1%]
    #[arg(long, value_name = "NUMBER|PERCENT", value_parser = at_most, hide_short_help = true)]
    pub(crate) max_clears: Option<AtMost>,
    /// Send nothing where the input has fewer rows than so many, or than so many percent of the last finished run with the
    /// same --state over inputs of the same names: 1000000 or 90%; of a pipe only with --spool [default: none]
    #[arg(long, value_name = "NUMBER|PERCENT", value_parser = at_least, hide_short_help = true)]
    pub(crate) min_rows: Option<AtLeast>,
    /// Send nothing where more rows changed than so many percent of those that --state knows, as 20%; of a pipe only with
    /// --spool [default: none]
    #[arg(long, value_name = "PERCENT", value_parser = share, hide_short_help = true)]
    pub(crate) max_changes: Option<Share>,
    /// Send nothing, and ask for nothing, where more distinct ids are not known to --state than so many, or where more rows
    /// have such an id than so many percent of those with an id: 500, 1% or none; of a pipe only with --spool [default: none]
    #[arg(
        long,
        value_name = "NUMBER|PERCENT",
        value_parser = at_most,
        requires = "identify_by",
        conflicts_with = "euid_column",
        hide_short_help = true
    )]
    pub(crate) max_new_ids: Option<AtMost>,
}

/// A share of something, in millionths of a percent: limits hold exactly at their borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

/// Digits behind the point of a percentage.
const DECIMALS: usize = 6;
const MILLIONTHS: u64 = 1_000_000;
const ALL: Share = Share(100 * MILLIONTHS);

impl Share {
    /// So many percent.
    pub(crate) const fn percent(percent: u64) -> Self {
        Self(percent * MILLIONTHS)
    }

    /// Whether a part is more than this share of the whole.
    pub(crate) fn is_less_than(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(ALL.0) > u128::from(self.0) * u128::from(whole)
    }

    /// Whether a part is less than this share of the whole.
    pub(crate) fn is_more_than(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(ALL.0) < u128::from(self.0) * u128::from(whole)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, behind) = (self.0 / MILLIONTHS, format!("{:0DECIMALS$}", self.0 % MILLIONTHS));
        match behind.trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            behind => write!(f, "{whole}.{behind}%"),
        }
    }
}

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtMost {
    /// Any number.
    None,
    /// So many.
    Rows(u64),
    /// So large a share.
    Share(Share),
}

/// How many there must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtLeast {
    /// So many.
    Rows(u64),
    /// So large a share.
    Share(Share),
}

/// `1%` or `0.5%`.
fn share(text: &str) -> Result<Share, String> {
    const HELP: &str = "say a share as 5% or 0.5%";
    let number = text.strip_suffix('%').ok_or(HELP)?;
    let (whole, behind) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(behind) {
        return Err(HELP.to_owned());
    }
    if behind.len() > DECIMALS {
        return Err(format!("a share has at most {DECIMALS} digits behind the point"));
    }
    let millionths = format!("{whole}{behind:0<DECIMALS$}").parse().map(Share);
    millionths.ok().filter(|share| share.0 <= ALL.0).ok_or_else(|| "a share is between 0% and 100%".to_owned())
}

fn rows(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `10`, `5%` or `none`.
fn at_most(text: &str) -> Result<AtMost, String> {
    if text == "none" {
        return Ok(AtMost::None);
    }
    if text.ends_with('%') {
        return share(text).map(AtMost::Share);
    }
    rows(text).map(AtMost::Rows).ok_or_else(|| "say a number as 10, a share as 5%, or none".to_owned())
}

/// `1000` or `90%`.
fn at_least(text: &str) -> Result<AtLeast, String> {
    if text.ends_with('%') {
        return share(text).map(AtLeast::Share);
    }
    rows(text).map(AtLeast::Rows).ok_or_else(|| "say a number of rows as 1000, or a share as 90%".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_shares() {
        assert_eq!(at_most("none"), Ok(AtMost::None));
        assert_eq!(at_most("0"), Ok(AtMost::Rows(0)));
        assert_eq!(at_most("18446744073709551615"), Ok(AtMost::Rows(u64::MAX)));
        assert_eq!(at_most("1%"), Ok(AtMost::Share(Share::percent(1))));
        assert_eq!(at_least("1000"), Ok(AtLeast::Rows(1_000)));
        assert_eq!(at_least("90.5%"), Ok(AtLeast::Share(Share(90_500_000))));
        assert_eq!(share("0.000001%"), Ok(Share(1)));
        assert_eq!(share("100.000000%"), Ok(ALL));
        for wrong in [
            "",
            "%",
            ".",
            ".5%",
            "5.%",
            "-1%",
            "+1%",
            "1e1%",
            "nan%",
            "1 %",
            "1%%",
            "100.000001%",
            "101%",
            "0.0000001%",
            "1.5",
            "99999999999999999999%",
            "１%",
        ] {
            assert!(share(wrong).is_err(), "{wrong}");
            assert!(at_most(wrong).is_err() && at_least(wrong).is_err(), "{wrong}");
        }
        assert!(share("5").is_err() && share("none").is_err() && at_least("none").is_err());
    }

    #[test]
    fn a_share_holds_exactly_at_its_border() {
        let share = |text| share(text).unwrap();
        for (text, part, whole) in
            [("1%", 1, 100), ("0.07%", 7, 10_000), ("33.3%", 333, 1_000), ("100%", 5, 5), ("0%", 0, 9)]
        {
            let share = share(text);
            assert!(!share.is_less_than(part, whole) && share.is_less_than(part + 1, whole), "{text}");
            assert!(!share.is_more_than(part, whole) && (part == 0 || share.is_more_than(part - 1, whole)), "{text}");
        }
        // 1 % of 150 is one and a half: one is less, two are more.
        assert!(!share("1%").is_less_than(1, 150) && share("1%").is_less_than(2, 150));
        assert!(share("1%").is_more_than(1, 150) && !share("1%").is_more_than(2, 150));
        assert!(!share("0%").is_less_than(0, 0) && share("0%").is_less_than(1, 0));
        assert!(!ALL.is_less_than(u64::MAX, u64::MAX) && ALL.is_more_than(u64::MAX - 1, u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_was_said(millionths in 0..=ALL.0) {
            prop_assert_eq!(share(&Share(millionths).to_string()), Ok(Share(millionths)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}|[0-9.%none]{0,24}") {
            let _ = (share(&text), at_most(&text), at_least(&text));
        }
    }
}
