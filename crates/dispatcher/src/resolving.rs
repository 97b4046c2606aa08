//! Asks the resolver once more about rows whose remembered EUID the service refused.

use std::sync::Arc;

use model::Outcome;
use tokio::task::{JoinError, JoinSet};

use crate::{
    asker::Asker,
    job::{Progress, Row},
    resolver::{Resolver, Unresolvable},
    shared::Shared,
    worker::decision,
};

/// Most that are asked for at the same time: as many as several requests hold.
const AT_ONCE: usize = 400;

/// Asks until nothing starts any more.
pub(crate) async fn resolve_again(shared: Arc<Shared>, resolver: Arc<dyn Resolver>) {
    let mut calls = JoinSet::new();
    loop {
        while calls.len() < AT_ONCE
            && let Some(row) = shared.with(|scheduler, _, _| scheduler.next_to_resolve_again())
        {
            calls.spawn(again(Arc::clone(&shared), Arc::clone(&resolver), row));
        }
        tokio::select! {
            biased;
            () = shared.closed.cancelled() => return,
            Some(ended) = calls.join_next() => propagate(ended),
            () = shared.resolve.notified() => {}
        }
    }
}

fn propagate(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn again(shared: Arc<Shared>, resolver: Arc<dyn Resolver>, mut row: Row) {
    let old = row.key();
    let answer = resolver.resolve_again(&row.contact, &Asker(Arc::clone(&shared))).await;
    match answer {
        Err(cause) => shared.stop.because(cause),
        Ok(Ok(euid)) => {
            // In this order: no row of that id may be resolved to the new EUID before those that have the old one go along.
            let asked_for = row.contact.clone();
            row.contact.euid = euid;
            row.contact.euid_text = euid.get().to_string().into();
            row.tried = false;
            let like = |other: &Row| resolver.same_id(&asked_for, &other.contact);
            shared.with(|scheduler, _, effects| {
                scheduler.renamed.note(asked_for.clone(), euid);
                scheduler.resolved_again(row, old, like, effects);
            });
            resolver.learn(&asked_for, euid);
            shared.with(|scheduler, _, _| scheduler.renamed.learnt());
        }
        Ok(Err(Unresolvable { reason, answered, attempts })) => {
            let progress = Progress { attempts, answered, ..Progress::default() };
            let (place, decision) = decision(row, Outcome::Failed, Some(reason), progress);
            shared.with(|scheduler, now, effects| {
                scheduler.count(Outcome::Failed, effects);
                scheduler.decided(place, decision, now, effects);
            });
        }
    }
}
