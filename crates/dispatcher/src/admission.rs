//! Lets rows in as they come, as far as there is room; where they come with another id than the EUID, they are resolved
//! before, several batches at a time and in the order of the input.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use async_channel::Receiver;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    asker::Asker, effects::Effects, intake::Intake, resolver::Resolver, scheduler::Scheduler, shared::Shared,
    stop::StopCause,
};

/// Batches that are resolved at once.
const RESOLVED_AT_ONCE: usize = 4;

/// A batch, by number.
type Resolving = (u64, AbortOnDropHandle<Result<Vec<Intake>, StopCause>>);

/// Lets in all rows, until no more come. After a stop they are taken and not sent.
pub(crate) async fn let_in(shared: Arc<Shared>, rows: Receiver<Vec<Intake>>, resolver: Option<Arc<dyn Resolver>>) {
    match resolver {
        None => {
            while let Some(batch) = next(&shared, &rows).await {
                admit(&shared, batch, None).await;
            }
        }
        Some(resolver) => let_in_resolved(&shared, &rows, &resolver).await,
    }
    while shared.with(|scheduler, _, _| scheduler.waits_for_canary()) {
        shared.admission.notified().await;
    }
    shared.with(|scheduler, _, effects| scheduler.no_more_rows(effects));
}

async fn next(shared: &Shared, rows: &Receiver<Vec<Intake>>) -> Option<Vec<Intake>> {
    let batch = rows.recv().await.ok()?;
    shared.rows_in.fetch_add(batch.len() as u64, Relaxed);
    Some(batch)
}

async fn admit(shared: &Shared, batch: Vec<Intake>, resolver: Option<&dyn Resolver>) {
    let mut batch = VecDeque::from(batch);
    let mut admit = |scheduler: &mut Scheduler, now, effects: &mut Effects| {
        // A stop that came from elsewhere holds at once.
        if shared.stop.is_stopping() && !scheduler.is_closed() {
            scheduler.close(effects);
        }
        scheduler.admit(&mut batch, resolver, now, effects)
    };
    while !shared.with(&mut admit) {
        shared.admission.notified().await;
    }
}

async fn let_in_resolved(shared: &Arc<Shared>, rows: &Receiver<Vec<Intake>>, resolver: &Arc<dyn Resolver>) {
    let mut resolving: VecDeque<Resolving> = VecDeque::new();
    let mut more = true;
    // What is resolved may create users: of the first few rows, no others are.
    more &= resolve_canary(shared, rows, resolver).await;
    while more || !resolving.is_empty() {
        let room = more && resolving.len() < RESOLVED_AT_ONCE;
        tokio::select! {
            ended = first(&mut resolving), if !resolving.is_empty() => {
                match ended {
                    Ok(batch) => admit(shared, batch, Some(&**resolver)).await,
                    Err(cause) => shared.stop.because(cause),
                }
                if let Some((number, _)) = resolving.pop_front() {
                    shared.with(|scheduler, _, _| scheduler.renamed.batch_is_in(number));
                }
            }
            batch = next(shared, rows), if room => match batch {
                None => more = false,
                // What is decided is handed on all the same.
                Some(batch) if shared.stop.is_stopping() => admit(shared, batch, None).await,
                Some(batch) => resolving.push_back(resolve(shared, batch, resolver)),
            },
        }
    }
}

/// Lets in the few rows that a canary sends at first, and waits for what becomes of them. Whether more rows may come.
async fn resolve_canary(shared: &Arc<Shared>, rows: &Receiver<Vec<Intake>>, resolver: &Arc<dyn Resolver>) -> bool {
    loop {
        let Some(left) = shared.with(|scheduler, _, _| scheduler.canary_left()) else { return true };
        let Some(mut batch) = next(shared, rows).await else { return false };
        let mut left = usize::try_from(left).unwrap_or(usize::MAX);
        while !batch.is_empty() {
            let rest = batch.split_off(left.min(batch.len()));
            if left > 0 {
                let (number, handle) = resolve(shared, batch, resolver);
                match handle.await {
                    Ok(Ok(batch)) => admit(shared, batch, Some(&**resolver)).await,
                    Ok(Err(cause)) => shared.stop.because(cause),
                    Err(error) => shared.stop.because(StopCause::Bug(format!("the resolver broke off: {error}"))),
                }
                shared.with(|scheduler, _, _| scheduler.renamed.batch_is_in(number));
            }
            batch = rest;
            if shared.stop.is_stopping() {
                admit(shared, batch, None).await;
                return true;
            }
            while shared.with(|scheduler, _, _| scheduler.waits_for_canary()) {
                shared.admission.notified().await;
            }
            left = shared.with(|scheduler, _, _| scheduler.canary_left()).map_or(usize::MAX, |left| left as usize);
        }
    }
}

fn resolve(shared: &Arc<Shared>, batch: Vec<Intake>, resolver: &Arc<dyn Resolver>) -> Resolving {
    let (asker, resolver) = (Asker(Arc::clone(shared)), Arc::clone(resolver));
    let number = shared.with(|scheduler, _, _| scheduler.renamed.begin_batch());
    (number, AbortOnDropHandle::new(tokio::spawn(async move { resolver.resolve(batch, &asker).await })))
}

async fn first(resolving: &mut VecDeque<Resolving>) -> Result<Vec<Intake>, StopCause> {
    match resolving.front_mut() {
        None => Ok(Vec::new()),
        Some((_, first)) => match first.await {
            Ok(resolved) => resolved,
            Err(error) => Err(StopCause::Bug(format!("the resolver broke off: {error}"))),
        },
    }
}
