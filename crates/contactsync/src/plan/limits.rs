use validator::EmptyValues;

use super::counted::Counted;
use crate::{
    args::{AtLeast, AtMost, PlanArgs, Share},
    failure::Failure,
    settings::RowRange,
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
}

/// The last finished run over inputs of the same names that took all of their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRun {
    /// Rows of all its inputs.
    pub(crate) rows: u64,
}

impl Limits {
    /// What the arguments say.
    pub(crate) fn of(args: &PlanArgs, empty: EmptyValues, has_state: bool) -> Result<Self, Failure> {
        let needs_state = |what: &str, hint: &str| {
            Failure::usage(format!("{what} needs `--state`: nothing else tells what was sent before"))
                .with_hint(hint.to_owned())
        };
        if let (Some(AtLeast::Share(share)), false) = (args.min_rows, has_state) {
            let what = format!("`--min-rows {share}`");
            return Err(needs_state(&what, "without a state say a number of rows, as `--min-rows 1000000`"));
        }
        if args.max_changes.is_some() && !has_state {
            return Err(needs_state("`--max-changes`", "name the state with `--state FILE`, or leave it out"));
        }
        let max_clears = if empty == EmptyValues::Clear { args.max_clears.unwrap_or(MAX_CLEARS) } else { AtMost::None };
        Ok(Self { max_clears, min_rows: args.min_rows, max_changes: args.max_changes })
    }

    /// The option that needs the plan of the whole input before anything is sent, if any.
    pub(crate) fn need_plan(&self) -> Option<&'static str> {
        let min_rows = self.min_rows.map(|_| "--min-rows");
        let max_changes = self.max_changes.map(|_| "--max-changes");
        min_rows.or(max_changes).or((self.max_clears != AtMost::None).then_some("--max-clears"))
    }

    /// Whether rows count that nobody takes: an export is no smaller for `--limit`.
    pub(crate) fn count_all_rows(&self) -> bool {
        self.min_rows.is_some()
    }

    /// The most rows that the plan reads, where there is a limit.
    pub(crate) fn rows_planned(&self, range: RowRange) -> Option<u64> {
        if self.count_all_rows() { None } else { range.limit() }
    }

    /// Exit 2 where the plan breaks a limit. Says where there is nothing to hold it against.
    pub(crate) fn judge(&self, counted: &mut Counted, last: Option<LastRun>, printer: &Printer) -> Result<(), Failure> {
        if let (Some(AtLeast::Share(share)), None) = (self.min_rows, last) {
            printer.note(&format!(
                "`--min-rows {share}`: no run with this state over inputs of these names has finished yet, so there is \
                 nothing to compare with"
            ));
        }
        let broken = [self.too_few(counted, last), self.too_many_changes(counted), self.too_many_clears(counted)];
        let (messages, hints): (Vec<_>, Vec<_>) = broken.into_iter().flatten().unzip();
        if messages.is_empty() {
            return Ok(());
        }
        let message = format!("{}\nnothing was sent", messages.join("\n"));
        Err(Failure::usage(message).with_hint(hints.join("\n")))
    }

    fn too_few(&self, counted: &Counted, last: Option<LastRun>) -> Option<(String, &'static str)> {
        let rows = counted.rows_of_input;
        let than = match (self.min_rows?, last) {
            (AtLeast::Rows(wanted), _) => (rows < wanted).then(|| format!("the {wanted} of `--min-rows`")),
            (AtLeast::Share(share), Some(last)) => share
                .is_more_than(rows, last.rows)
                .then(|| format!("`--min-rows {share}` of the {} rows that the last finished run read", last.rows)),
            (AtLeast::Share(_), None) => None,
        };
        let hint = "see whether the export is whole; where it is meant to be this small, lower `--min-rows`";
        than.map(|than| (format!("the input has {rows} rows, fewer than {than}"), hint))
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
        let hint = "a column that lost its values looks like this: see whether the export is whole; where the clears are \
                    meant, say `--max-clears` with a higher number or share, or `none`";
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
