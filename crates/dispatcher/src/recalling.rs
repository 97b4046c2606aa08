//! Asks the memory about rows whose turn has come, some at a time, ahead of the workers.

use std::sync::Arc;

use model::Outcome;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    asker::Asker,
    effects::Effects,
    job::{Progress, Row},
    memory::{Memory, Recall, Recalled, Turn},
    scheduler::{Scheduler, ToRecall},
    shared::Shared,
    stop::StopCause,
    worker::decision,
};

/// Asks until nothing starts any more. What is under way then has the grace to end.
pub(crate) async fn recall_rows(shared: Arc<Shared>, memory: Arc<dyn Memory>) {
    let batches = memory.batches();
    let mut calls = JoinSet::new();
    loop {
        let mut later = None;
        while calls.len() < batches.calls {
            match shared.with(|scheduler, now, _| scheduler.take_to_recall(batches, now)) {
                ToRecall::Rows(rows) => _ = calls.spawn(recall(Arc::clone(&shared), Arc::clone(&memory), rows)),
                ToRecall::Later(at) => {
                    later = Some(at);
                    break;
                }
                ToRecall::Nothing => break,
            }
        }
        tokio::select! {
            biased;
            () = shared.closed.cancelled() => break,
            Some(ended) = calls.join_next() => propagate(ended),
            () = shared.recall.notified() => {}
            () = sleep_until(later) => {}
        }
    }
    tokio::select! {
        () = shared.stop.grace_over() => {}
        () = async { while let Some(ended) = calls.join_next().await { propagate(ended); } } => {}
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
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
        let rows = rows.iter();
        let turns: Vec<_> = rows.map(|row| Turn { contact: &row.contact, times_asked: row.times_asked }).collect();
        memory.recall(&turns, &Asker(Arc::clone(&shared))).await
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
            scheduler.take_recall(row, recall, now, effects);
        }
    });
}

impl Scheduler {
    /// What the memory said of a row.
    fn take_recall(&mut self, mut row: Row, recall: Recall, now: Instant, effects: &mut Effects) {
        match recall {
            Recall::Send => self.recalled(row),
            Recall::AskAgain(after) => {
                row.times_asked += 1;
                self.recall_later(row, now + after);
            }
            Recall::Unchanged => {
                let (place, decision) = decision(row, Outcome::Unchanged, None, Progress::default());
                self.decided(place, decision, now, effects);
            }
            Recall::Decided(recalled) => {
                let Recalled { outcome, reason, answered, attempts, latency_ms, contacts } = *recalled;
                let progress = Progress { attempts, answered, latency_ms, ..Progress::default() };
                let (place, mut decision) = decision(row, outcome, reason, progress);
                decision.contacts = contacts;
                self.count(outcome, effects);
                self.decided(place, decision, now, effects);
            }
        }
    }
}
