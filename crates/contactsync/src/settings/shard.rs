use std::{fmt, str::FromStr};

use model::{Decision, Euid, IdentityKind, Shard};

/// What a state knows the users of, where not of all: those of a shard, by their EUIDs or by ids of a kind. One more user,
/// and two states would know something of the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateShard {
    pub(crate) shard: Shard,
    pub(crate) identity: Option<IdentityKind>,
}

impl StateShard {
    /// Whether a row of a report is of such a user.
    pub(crate) fn has(self, row: &Decision) -> bool {
        match self.identity {
            None => Euid::parse(&row.euid).is_ok_and(|euid| self.shard.has_euid(euid)),
            Some(_) => row.id.as_ref().is_some_and(|id| self.shard.has_id(id)),
        }
    }
}

impl fmt::Display for StateShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shard, identity } = self;
        match identity {
            None => shard.fmt(f),
            Some(kind) => write!(f, "{shard} by {kind}"),
        }
    }
}

impl FromStr for StateShard {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (shard, kind) = text.split_once(" by ").map_or((text, None), |(shard, kind)| (shard, Some(kind)));
        let identity = match kind {
            None => None,
            Some(kind) => Some(IdentityKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(())?),
        };
        Ok(Self { shard: shard.parse().map_err(drop)?, identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for text in ["0/4", "3/4 by user_id", "7/8 by registration_id"] {
            assert_eq!(text.parse::<StateShard>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "4/4", "0/4 by", "0/4 by euid", "0/4 by user_id ", "by user_id"] {
            assert_eq!(text.parse::<StateShard>(), Err(()), "{text}");
        }
    }
}
