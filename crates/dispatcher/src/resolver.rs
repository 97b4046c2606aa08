//! Who knows the EUIDs of rows that come with another id. A resolver stands before rows are let in; where the service
//! refuses an EUID that it gave from what it remembered, it is asked once more.

use model::{Contact, Euid, Reason};

use crate::{asker::Asker, intake::Intake, memory::BoxFuture, stop::StopCause};

/// Gives rows their EUIDs.
pub trait Resolver: Send + Sync + 'static {
    /// Turns rows as they were read into rows with EUIDs, in the same order; those of which there is none are decided.
    /// Several calls may be under way at once. An error stops the run.
    fn resolve<'a>(&'a self, rows: Vec<Intake>, asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Intake>, StopCause>>;

    /// Whether a row whose EUID the service refused is to be resolved again: its EUID was remembered, not asked for.
    fn doubts(&self, contact: &Contact) -> bool;

    /// Whether two rows come with the same id: what is found out of one holds for the other. Doesn't wait.
    fn same_id(&self, one: &Contact, other: &Contact) -> bool;

    /// Resolves a row again, by asking. Until it has, and for rows of that id that were resolved before, the EUID is the old one:
    /// those that come in behind the row go along with it. Who resolves further rows of that id meanwhile must wait for it, or
    /// they could go ahead of the row.
    /// Without an EUID the row fails, for this reason. An error stops the run.
    fn resolve_again<'a>(
        &'a self,
        contact: &'a Contact,
        asker: &'a Asker,
    ) -> BoxFuture<'a, Result<Result<Euid, Reason>, StopCause>>;
}
