use super::names::Names;
use crate::books::Books;

/// What the plan counts.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Rows of all inputs, those too that `--skip` and `--limit` leave out, as far as they were read.
    pub(crate) rows_of_input: u64,
    /// Rows of other shards that may be of any user.
    pub(crate) of_nobody_elsewhere: u64,
    /// Rows that are taken, by how validation ended.
    pub(crate) books: Books,
    /// Of these, rows that an earlier try has decided.
    pub(crate) decided: u64,
    /// Whether rows were compared with a state.
    pub(crate) compared: bool,
    /// Rows that would be sent.
    pub(crate) to_send: u64,
    /// Valid rows that would not be sent, since all that they would set is there.
    pub(crate) unchanged: u64,
    /// What came up of ids, where rows are keyed by them.
    pub(crate) ids: Option<CountedIds>,
    /// Rows that would be sent and clear a contact that is there, or may be.
    pub(crate) clears: u64,
    /// Rows of which the state knows a contact.
    pub(crate) known: u64,
    /// Of these, rows that would change one.
    pub(crate) changed: u64,
    /// What would be set, by contact name.
    pub(crate) names: Names,
    /// Users that the state knows and the input lacks, where there is a state.
    pub(crate) vanished: Option<u64>,
    /// Rows of the inputs of the last finished run with this state, where these had the same names and all of their rows, or
    /// all of a shard, were taken.
    pub(crate) rows_of_last_run: Option<u64>,
}

/// Ids of valid rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CountedIds {
    /// Rows with an id.
    pub(crate) rows: u64,
    /// Of these, rows whose id is to be asked for: none of a state is known, or it isn't there, and no earlier try decided
    /// them.
    pub(crate) not_known: u64,
    /// The ids of those rows, each counted once; none without a state.
    pub(crate) distinct: Option<u64>,
    /// Rows that are not asked for, since they are rejected or decided, and of whose user nothing is known.
    pub(crate) of_nobody: u64,
}
