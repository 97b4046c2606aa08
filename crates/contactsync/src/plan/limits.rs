use validator::EmptyValues;

use super::counted::{Counted, CountedIds};
use crate::{
    args::{AtLeast, AtMost, PlanArgs, Share},
    failure::Failure,
    settings::RowChoice,
    terminal::Printer,
};

/// Where nothing is said about clears.
const MAX_CLEARS: AtMost = AtMost::Share(Share::percent(1));
/// Names that a message tells.
const MOST_TOLD: usize = 5;

/// What must be so of the whole input before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    max_clears: AtMost,
    min_rows: Option<AtLeast>,
    max_changes: Option<Share>,
    max_new_ids: Option<AtMost>,
}

impl Limits {
    /// What the arguments say.
    pub(crate) fn of(args: &PlanArgs, empty: EmptyValues, has_state: bool) -> Result<Self, Failure> {
        let needs_state = |what: &str, hint: &str| {
            Failure::usage(format!("{what} needs `--state`: nothing else tells what was there before"))
                .with_hint(hint.to_owned())
        };
        if let (Some(AtLeast::Share(share)), false) = (args.min_rows, has_state) {
            let what = format!("`--min-rows {share}`");
            return Err(needs_state(&what, "without a state say a number of rows, as `--min-rows 1000000`"));
        }
        if args.max_changes.is_some() && !has_state {
            return Err(needs_state("`--max-changes`", "name the state with `--state FILE`, or leave it out"));
        }
        let max_new_ids = args.max_new_ids.filter(|most| *most != AtMost::None);
        if max_new_ids.is_some() && !has_state {
            return Err(needs_state("`--max-new-ids`", "name the state with `--state FILE`, or leave it out"));
        }
        let max_clears = if empty == EmptyValues::Clear { args.max_clears.unwrap_or(MAX_CLEARS) } else { AtMost::None };
        Ok(Self { max_clears, min_rows: args.min_rows, max_changes: args.max_changes, max_new_ids })
    }

    /// The option that needs the plan of the whole input before anything is sent, if any.
    pub(crate) fn need_plan(&self) -> Option<&'static str> {
        let min_rows = self.min_rows.map(|_| "--min-rows");
        let max_changes = self.max_changes.map(|_| "--max-changes");
        let max_new_ids = self.max_new_ids.map(|_| "--max-new-ids");
        min_rows.or(max_changes).or(max_new_ids).or((self.max_clears != AtMost::None).then_some("--max-clears"))
    }

    /// Whether rows count that nobody takes: an export is no smaller for `--limit`.
    pub(crate) fn count_all_rows(&self) -> bool {
        self.min_rows.is_some()
    }

    /// The most rows that the plan reads, where there is a limit.
    pub(crate) fn rows_planned(&self, choice: &RowChoice) -> Option<u64> {
        if self.count_all_rows() { None } else { choice.expected() }
    }

    /// Exit 2 where the plan breaks a limit. Says where there is nothing to hold it against.
    pub(crate) fn judge(&self, counted: &mut Counted, printer: &Printer) -> Result<(), Failure> {
        if let (Some(AtLeast::Share(share)), None) = (self.min_rows, counted.rows_of_last_run) {
            printer.note(&format!(
                "`--min-rows {share}`: no run with this state over inputs of these names has finished yet, so there is \
                 nothing to compare with"
            ));
        }
        self.broken(counted).map_or(Ok(()), Err)
    }

    /// What the plan breaks.
    fn broken(&self, counted: &mut Counted) -> Option<Failure> {
        let broken = [
            self.too_few(counted),
            self.too_many_new_ids(counted),
            self.too_many_changes(counted),
            self.too_many_clears(counted),
        ];
        let (messages, hints): (Vec<_>, Vec<_>) = broken.into_iter().flatten().unzip();
        let message = format!("{}\nnothing was sent", messages.join("\n"));
        (!messages.is_empty()).then(|| Failure::usage(message).with_hint(hints.join("\n")))
    }

    fn too_few(&self, counted: &Counted) -> Option<(String, &'static str)> {
        let rows = counted.rows_of_input;
        let than = match (self.min_rows?, counted.rows_of_last_run) {
            (AtLeast::Rows(wanted), _) => (rows < wanted).then(|| format!("the {wanted} of `--min-rows`")),
            (AtLeast::Share(share), Some(last)) => share
                .is_more_than(rows, last)
                .then(|| format!("`--min-rows {share}` of the {last} rows that the last finished run read")),
            (AtLeast::Share(_), None) => None,
        };
        let hint = "see whether the export is whole; where it is meant to be this small, lower `--min-rows`";
        than.map(|than| (format!("the input has {rows} rows, fewer than {than}"), hint))
    }

    fn too_many_new_ids(&self, counted: &Counted) -> Option<(String, &'static str)> {
        let CountedIds { rows, not_known, distinct, of_nobody: _ } = counted.ids?;
        let distinct = distinct?;
        let message = match self.max_new_ids? {
            AtMost::Rows(most) if distinct > most => {
                let are = if distinct == 1 { "id is" } else { "ids are" };
                format!("{distinct} {are} not known to the state, more than `--max-new-ids {most}`")
            }
            AtMost::Share(share) if share.is_less_than(not_known, rows) => format!(
                "{not_known} of {rows} rows with an id have one that the state doesn't know ({distinct} {}), more than \
                 `--max-new-ids {share}`",
                if distinct == 1 { "id" } else { "ids" }
            ),
            _ => return None,
        };
        let hint = "a column that isn't the id's looks like this, and to ask for its ids creates users: see what `--id-column` \
                    names; where the ids are meant, raise `--max-new-ids`, or say `none`";
        Some((message, hint))
    }

    fn too_many_changes(&self, counted: &mut Counted) -> Option<(String, &'static str)> {
        let Counted { changed, known, .. } = *counted;
        let share = self.max_changes.filter(|share| share.is_less_than(changed, known))?;
        let names = told(counted, |count| count.changed);
        let message = format!(
            "{changed} of the {known} rows that the state knows changed ({names}), more than `--max-changes {share}`"
        );
        let hint = "columns that moved under another header look like this: compare the header with that of the last export; \
                    where the changes are meant, raise `--max-changes`";
        Some((message, hint))
    }

    fn too_many_clears(&self, counted: &mut Counted) -> Option<(String, &'static str)> {
        let (clears, valid) = (counted.clears, counted.books.valid);
        let limit = match self.max_clears {
            AtMost::Rows(most) if clears > most => most.to_string(),
            AtMost::Share(share) if share.is_less_than(clears, valid) => share.to_string(),
            _ => return None,
        };
        let names = told(counted, |count| count.cleared);
        let message =
            format!("{clears} of {valid} valid rows would clear a contact ({names}), more than `--max-clears {limit}`");
        let hint = if counted.compared && counted.known == 0 {
            "the state knows none of these users yet, so every empty value counts: where the export is whole, say \
             `--max-clears none` this once"
        } else {
            "a column that lost its values looks like this: see whether the export is whole; where the clears are meant, say \
             `--max-clears` with a higher number or share, or `none`"
        };
        Some((message, hint))
    }
}

fn told(counted: &mut Counted, count: impl Fn(&super::names::NameCount) -> u64) -> String {
    let most = counted.names.most(count);
    let mut told: Vec<String> =
        most.iter().take(MOST_TOLD).map(|(name, count)| format!("{} {count}", model::shown_name(name))).collect();
    if most.len() > MOST_TOLD {
        told.push(format!("and {} more", most.len() - MOST_TOLD));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn limits(options: &[&str], empty: EmptyValues) -> Limits {
        let cli = Cli::try_parse_from(["contactsync", "push", "a.csv"].iter().chain(options)).unwrap();
        let Command::Push(args) = cli.command else { panic!("a push") };
        Limits::of(&args.plan, empty, true).unwrap()
    }

    fn broken(options: &[&str], mut counted: Counted) -> Option<String> {
        limits(options, EmptyValues::Skip).broken(&mut counted).map(|failure| failure.message)
    }

    #[test]
    fn what_is_not_asked_for_needs_no_plan() {
        let skip = |options: &[&str]| limits(options, EmptyValues::Skip).need_plan();
        let clear = |options: &[&str]| limits(options, EmptyValues::Clear).need_plan();
        assert_eq!((skip(&[]), skip(&["--max-clears", "5"])), (None, None));
        assert_eq!((clear(&[]), clear(&["--max-clears", "none"])), (Some("--max-clears"), None));
        assert_eq!(skip(&["--min-rows", "5"]), Some("--min-rows"));
        assert_eq!(clear(&["--max-changes", "5%"]), Some("--max-changes"));
    }

    #[test]
    fn too_few_rows_for_those_of_the_last_run() {
        let counted = |rows, last| Counted { rows_of_input: rows, rows_of_last_run: last, ..Counted::default() };
        let options = ["--min-rows", "90%"];
        assert_eq!(broken(&options, counted(900, Some(1_000))), None);
        let said = broken(&options, counted(899, Some(1_000))).unwrap();
        let expected = "the input has 899 rows, fewer than `--min-rows 90%` of the 1000 rows that the last finished run read\n\
                        nothing was sent";
        assert_eq!(said, expected);
        // Rounded up: nine tenths of eleven are no nine.
        assert!(broken(&options, counted(9, Some(11))).is_some() && broken(&options, counted(10, Some(11))).is_none());
        assert_eq!(broken(&options, counted(0, None)), None, "there is nothing to compare with");
        assert_eq!(broken(&options, counted(0, Some(0))), None);
    }

    #[test]
    fn too_many_ids_that_are_not_known() {
        let counted = |rows, not_known, distinct| Counted {
            ids: Some(CountedIds { rows, not_known, distinct: Some(distinct), of_nobody: 0 }),
            ..Counted::default()
        };
        let by = |most| ["--identify-by", "user_id", "--max-new-ids", most];
        assert_eq!(broken(&by("5"), counted(100, 90, 5)), None, "distinct ids count, not their rows");
        assert!(
            broken(&by("5"), counted(100, 6, 6)).unwrap().starts_with("6 ids are not known to the state, more than")
        );
        assert_eq!(broken(&by("10%"), counted(100, 10, 1)), None);
        let said = broken(&by("10%"), counted(100, 11, 1)).unwrap();
        assert!(said.starts_with("11 of 100 rows with an id have one that the state doesn't know (1 id)"), "{said}");
        assert_eq!(broken(&by("0%"), counted(0, 0, 0)), None);
        assert_eq!(broken(&by("none"), counted(1, 1, 1)), None);
        assert_eq!(limits(&by("none"), EmptyValues::Skip).need_plan(), None);
        assert_eq!(limits(&by("0"), EmptyValues::Skip).need_plan(), Some("--max-new-ids"));
    }

    #[test]
    fn too_many_changes_for_those_that_are_known() {
        let counted = |changed, known| Counted { changed, known, rows_of_input: 1_000_000, ..Counted::default() };
        let options = ["--max-changes", "20%"];
        assert_eq!(broken(&options, counted(20, 100)), None);
        let said = broken(&options, counted(21, 100)).unwrap();
        assert!(
            said.starts_with("21 of the 100 rows that the state knows changed (), more than `--max-changes 20%`"),
            "{said}"
        );
        assert_eq!(broken(&options, counted(0, 0)), None, "a state that knows nobody");
    }
}
