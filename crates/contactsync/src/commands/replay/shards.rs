//! Rows of the reports of shards, and the states of these.

use model::IdentityKind;
use report::{ReplayPlan, RunFile, SourceReport};
use state::State;

use crate::{
    failure::Failure,
    pipeline::{EACH_ITS_OWN, Whose},
    settings::StateShard,
};

/// Whose rows the reports hold, by what lies beside them.
pub(super) fn whose(sources: &[SourceReport]) -> Whose {
    Whose::Reports(sources.iter().map(shard_of).collect())
}

/// The shard whose rows all reports hold, as an option of the replay's own run.
pub(super) fn deciding(sources: &[SourceReport]) -> Option<(String, String)> {
    let mut shards = sources.iter().map(|source| shard_of(source).map(|it| it.shard));
    let first = shards.next()??;
    shards.all(|shard| shard == Some(first)).then(|| ("--shard".to_owned(), first.to_string()))
}

fn shard_of(source: &SourceReport) -> Option<StateShard> {
    // Where it can't be read, the rows still tell.
    let run = RunFile::read(source.path()).ok()??;
    let identity = run.options.get("--identify-by");
    let identity = identity.and_then(|kind| IdentityKind::ALL.into_iter().find(|it| it.as_str() == kind));
    run.shard().map(|shard| StateShard { shard, identity })
}

/// Exit 2 where a state would hear of users whose rows go into another one: whatever lies beside the reports, the rows tell.
pub(super) fn refuse_rows_of_others(
    plan: &ReplayPlan,
    state: Option<&State>,
    identity: Option<IdentityKind>,
) -> Result<(), Failure> {
    let Some((state, then)) = state.and_then(|state| Some((state, state.meta().shard?))) else { return Ok(()) };
    let path = state.path().display();
    let refused = |what: String| Failure::usage(format!("{what}; nothing was sent")).with_hint(EACH_ITS_OWN.to_owned());
    let Ok(shard) = then.parse::<StateShard>() else {
        return Err(refused(format!("the state {path} belongs to shard {then}, which can't be understood")));
    };
    // Whose an id is may have changed since: the user may be one of another shard by now.
    if shard.identity.is_none() && identity.is_some() {
        return Err(refused(format!("the state {path} belongs to shard {then} by EUIDs, not by ids")));
    }
    let mut others = 0_u64;
    for row in plan.clone().into_rows()? {
        others += u64::from(!shard.has(&row?));
    }
    if others == 0 {
        return Ok(());
    }
    let rows = plan.rows();
    Err(refused(format!("the state {path} belongs to shard {then}; rows that are not of it: {others} of {rows}")))
}
