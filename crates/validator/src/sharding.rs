use model::{Euid, Reason, Record, Shard};

use crate::{id::id, rules::Rules};

/// Tells the rows of a shard from those of the others: all rows of a user, whether they are let through or not. A row of
/// which can't be read whose it is is dealt out by its number.
#[derive(Debug, Clone)]
pub struct Sharding {
    shard: Shard,
    rules: Rules,
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this shard.
    Here,
    /// In another one, with all rows of its user.
    Elsewhere,
    /// In another one, and it may be of any user: of whom can't be read, or may be misread.
    OfNobodyElsewhere,
}

impl Sharding {
    /// By the shard, and by the rules that say what is an id where rows are keyed by ids.
    pub fn new(shard: Shard, rules: &Rules) -> Self {
        Self { shard, rules: rules.clone() }
    }

    /// Which shard is this one.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Where a row is.
    pub fn place_of(&self, record: &Record<'_>) -> Place {
        let Self { shard, rules } = self;
        let by_key = match &rules.ids {
            None => Euid::parse(record.euid_text()).ok().map(|euid| shard.has_euid(euid)),
            Some(ids) => id(ids, &rules.nulls, record.euid()).ok().map(|id| shard.has_id(id)),
        };
        if by_key.unwrap_or_else(|| shard.has_row(record.row())) {
            return Place::Here;
        }
        let is_broken = record.fault().is_some_and(|fault| fault.reason != Reason::KeyUnknown);
        if by_key.is_none() || is_broken { Place::OfNobodyElsewhere } else { Place::Elsewhere }
    }
}
