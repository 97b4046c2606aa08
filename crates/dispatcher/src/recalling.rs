//! Asks the memory about rows whose turn has come, some at a time, ahead of the workers.

use std::sync::Arc;

use model::{Contact, Outcome};
use tokio::task::JoinSet;

use crate::{
    asker::Asker,
    job::{Progress, Row},
    memory::{Memory, Recall},
    shared::Shared,
    stop::StopCause,
    worker::decision,
};

/// Most rows that are asked for together: as many as the service tells of in one request.
const ROWS_AT_ONCE: usize = 100;
/// Most that are asked for at the same time.
const CALLS_AT_ONCE: usize = 8;

/// Asks until nothing starts any more. What is under way then has the grace to end.
pub(crate) async fn recall_rows(shared: Arc<Shared>, memory: Arc<dyn Memory>) {
    let mut calls = JoinSet::new();
    loop {
        while calls.len() < CALLS_AT_ONCE {
            let rows = shared.with(|scheduler, _, _| scheduler.take_to_recall(ROWS_AT_ONCE));
            if rows.is_empty() {
                break;
            }
            calls.spawn(recall(Arc::clone(&shared), Arc::clone(&memory), rows));
        }
        tokio::select! {
            biased;
            () = shared.closed.cancelled() => break,
            Some(ended) = calls.join_next() => propagate(ended),
            () = shared.recall.notified() => {}
        }
    }
    tokio::select! {
        () = shared.stop.grace_over() => {}
        () = async { while let Some(ended) = calls.join_next().await { propagate(ended); } } => {}
    }
}

fn propagate(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn recall(shared: Arc<Shared>, memory: Arc<dyn Memory>, rows: Vec<Row>) {
    let recalled = {
        let contacts: Vec<&Contact> = rows.iter().map(|row| &row.contact).collect();
        memory.recall(&contacts, &Asker(Arc::clone(&shared))).await
    };
    let recalled = match recalled {
        Ok(recalled) if recalled.len() == rows.len() => recalled,
        Ok(_) => {
            return shared.stop.because(StopCause::Bug("a memory didn't speak of each row".to_owned()));
        }
        Err(cause) => return shared.stop.because(cause),
    };
    shared.with(|scheduler, now, effects| {
        for (row, recall) in rows.into_iter().zip(recalled) {
            match recall {
                Recall::Send => scheduler.recalled(row),
                Recall::Unchanged => {
                    let (place, decision) = decision(row, Outcome::Unchanged, None, Progress::default());
                    scheduler.decided(place, decision, now, effects);
                }
            }
        }
    });
}
