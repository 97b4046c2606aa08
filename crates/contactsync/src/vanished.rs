//! Users that the state knows and no row had.

use std::io::{self, BufWriter, Write};

use model::{Reason, Shard};
use state::State;

use crate::{exit::Exit, failure::Failure, settings::Output, terminal::Printer};

/// Rows rejected for these may be of any user.
const WITHOUT_EUID: [Reason; 4] =
    [Reason::EuidInvalid, Reason::EuidEmpty, Reason::MalformedRow, Reason::EncodingInvalid];

/// Writes their EUIDs, one a line, ascending.
pub(crate) fn list_vanished(state: &State, output: &Output) -> Result<(), Failure> {
    let mut unread = None;
    let written = output.write(|to| {
        let (mut lines, mut unwritten) = (BufWriter::new(to), None);
        let listed = state.for_each_vanished(|euid| {
            writeln!(lines, "{}", euid.get()).map_err(|error| {
                let kind = error.kind();
                unwritten = Some(error);
                kind.into()
            })
        });
        match (unwritten, listed) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => lines.flush(),
            (None, Err(error)) => {
                unread = Some(error);
                Err(io::Error::other("the state can't be read"))
            }
        }
    });
    unread.map_or(written, |error| Err(Failure::new(Exit::ReadOrWrite, error)))
}

/// Warns where some seem to have vanished that may have a row after all. `rows_of`: rows rejected for a reason. `elsewhere`:
/// rows of other shards whose EUID can't be read.
pub(crate) fn warn_of_unreadable(vanished: u64, rows_of: impl Fn(Reason) -> u64, elsewhere: u64, printer: &Printer) {
    let rows = WITHOUT_EUID.into_iter().map(rows_of).sum::<u64>() + elsewhere;
    if vanished > 0 && rows > 0 {
        let text = format!("{rows} rows have no readable EUID: {MAY_BE_THEIRS}");
        printer.warning(&text, Some(MEND_FIRST));
    }
}

/// The same where rows are keyed by ids: so many have none that is taken, or one of which no user is known.
pub(crate) fn warn_of_nobody(vanished: u64, rows: u64, printer: &Printer) {
    if vanished > 0 && rows > 0 {
        let text = format!("{rows} rows have no id whose user is known: {MAY_BE_THEIRS}");
        printer.warning(&text, Some(MEND_FIRST));
    }
}

/// The same of a shard: which is an id's, and a user may have several.
pub(crate) fn warn_of_other_ids(vanished: u64, shard: Option<Shard>, printer: &Printer) {
    if let Some(shard) = shard.filter(|_| vanished > 0) {
        let text = format!(
            "users counted or listed as vanished have no row in shard {shard}: one with several ids may have a row in another"
        );
        printer.warning(
            &text,
            Some("compare with the lists of the other shards before anything is done to who is listed"),
        );
    }
}

/// The same of rows whose ids would only be asked for.
pub(crate) fn warn_of_unasked(vanished: u64, rows: u64, printer: &Printer) {
    if vanished > 0 && rows > 0 {
        let text =
            format!("{rows} rows have an id that the state doesn't know, and a dry run doesn't ask: {MAY_BE_THEIRS}");
        printer.warning(&text, Some("a push asks for the ids, and says who has vanished then"));
    }
}

const MAY_BE_THEIRS: &str = "users counted or listed as vanished may be theirs";
const MEND_FIRST: &str = "mend these rows before anything is done to who is listed";

/// Why `--report-vanished` lists nobody where only a part was read.
pub(crate) const NOT_ALL_READ: &str =
    "--report-vanished: not every row of the inputs was read, so nothing is said about users without one";
