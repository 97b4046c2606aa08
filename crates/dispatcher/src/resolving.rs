//! Asks the resolver once more about rows whose remembered EUID the service refused.

use std::sync::Arc;

use model::Outcome;

use crate::{
    asker::Asker,
    job::{Progress, Row},
    resolver::Resolver,
    shared::Shared,
    worker::decision,
};

/// Asks until nothing starts any more.
pub(crate) async fn resolve_again(shared: Arc<Shared>, resolver: Arc<dyn Resolver>) {
    let asker = Asker(Arc::clone(&shared));
    loop {
        let Some(mut row) = shared.with(|scheduler, _, _| scheduler.next_to_resolve_again()) else {
            tokio::select! {
                () = shared.closed.cancelled() => return,
                () = shared.resolve.notified() => continue,
            }
        };
        let old = row.key();
        let answer = tokio::select! {
            biased;
            answer = resolver.resolve_again(&row.contact, &asker) => answer,
            () = shared.closed.cancelled() => return,
        };
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
            Ok(Err(reason)) => {
                let (place, decision) = decision(row, Outcome::Failed, Some(reason), Progress::default());
                shared.with(|scheduler, now, effects| {
                    scheduler.count(Outcome::Failed, effects);
                    scheduler.decided(place, decision, now, effects);
                });
            }
        }
    }
}
