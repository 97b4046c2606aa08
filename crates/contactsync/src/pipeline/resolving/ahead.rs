use std::{collections::BTreeSet, sync::Arc};

use dispatcher::Stop;
use model::Counters;
use tokio::runtime::Builder;

use super::{IdResolver, OwnIds, gathering::ask_for};
use crate::{
    exit::Exit,
    failure::Failure,
    pipeline::{questions::with_asker, stopped_by},
    settings::SendingSettings,
};

/// Asks for the EUIDs of ids before any row is sent, and keeps what the API says of them for the run. Blocks. Returns with how
/// many requests. What fails is asked for again by the rows.
pub(crate) fn ask_ahead(own: &OwnIds, ids: &BTreeSet<Box<str>>, sending: &SendingSettings) -> Result<u64, Failure> {
    let cannot_start = |error| Failure::new(Exit::ReadOrWrite, format!("ids can't be asked for: {error}"));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(cannot_start)?;
    let counters = Arc::new(Counters::default());
    let stop = Stop::default();
    let resolver = IdResolver::new(own.clone(), None, stop.clone());
    let wanted: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let shared = sending.shared_rate.as_ref();
    let asked = with_asker(&sending.target, &sending.dispatcher, shared, Arc::clone(&counters), async |asker| {
        let unreadable = |error: state::StateError| Failure::new(Exit::ReadOrWrite, error);
        for waiting in ask_for(&resolver.0, &wanted, &asker).map_err(unreadable)? {
            waiting.answer().await.map_err(|cause| stopped_by(&cause, true))?;
        }
        Ok::<(), Failure>(())
    });
    runtime.block_on(asked)??;
    match stop.cause() {
        Some(cause) => Err(stopped_by(cause, true)),
        None => Ok(Counters::get(&counters.register_requests)),
    }
}
