//! Who knows the EUIDs of rows that come with another id. A resolver stands before rows are let in; where the service
//! refuses an EUID that it gave from what it remembered, it is asked once more.

use model::{Answered, Contact, Euid, Reason};

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

    /// Asks once more for a row's id, and keeps nothing of it: until [`Resolver::learn`] the id's EUID stays the old one for all.
    /// Without an EUID the row fails. Calls for several ids may be under way at once, for each id one. An error stops the run.
    fn resolve_again<'a>(
        &'a self,
        contact: &'a Contact,
        asker: &'a Asker,
    ) -> BoxFuture<'a, Result<Result<Euid, Unresolvable>, StopCause>>;

    /// From now on this is the EUID of the row's id. Rows that wait with the old one have been moved. Doesn't wait.
    fn learn(&self, contact: &Contact, euid: Euid);
}

/// Why there is no EUID for an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolvable {
    /// In a word.
    pub reason: Reason,
    /// The last answer.
    pub answered: Answered,
    /// Attempts made to ask for it.
    pub attempts: u32,
}
