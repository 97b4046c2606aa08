use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dispatcher::{Asker, StopCause};
use model::limits::MAX_REGISTER_IDS;
use state::StateError;
use tokio::sync::oneshot;

use super::{
    Ids,
    asking::{Answer, Answered, ask},
};

/// So long ids wait for others, to be asked for with them.
const LINGER: Duration = Duration::from_millis(10);

/// An id that is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) id: Arc<str>,
    /// Its remembered EUID was refused: until all rows that have that one are told, the state keeps it.
    pub(super) again: bool,
}

/// Ids that are asked for, or will be. Each stands here until its answer is in the state.
#[derive(Default)]
pub(super) struct Gathering(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    waiting: HashMap<Wanted, Vec<oneshot::Sender<Result<Answer, StopCause>>>>,
    /// Those of them that nobody has begun to ask for, in order.
    next: Vec<Wanted>,
    /// Somebody waits for more of them.
    lingers: bool,
}

/// An answer, or whoever waits for it.
pub(super) enum Waiting {
    Known(Answer),
    Asked(oneshot::Receiver<Result<Answer, StopCause>>),
}

impl Waiting {
    /// None where the run stopped before it came.
    pub(super) async fn answer(self) -> Result<Option<Answer>, StopCause> {
        match self {
            Self::Known(answer) => Ok(Some(answer)),
            Self::Asked(answer) => answer.await.map_or(Ok(None), |answer| answer.map(Some)),
        }
    }
}

impl Gathering {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked for is known, and in the state: whoever waits is told.
    pub(super) fn answered(&self, answers: Answered) {
        let mut gathered = self.gathered();
        for (wanted, answer) in answers {
            for waiting in gathered.waiting.remove(&wanted).into_iter().flatten() {
                // Who asked may have stopped waiting.
                let _ = waiting.send(Ok(answer.clone()));
            }
        }
    }

    /// It won't be known: the run stops, or has stopped.
    pub(super) fn given_up(&self, batch: &[Wanted], cause: Option<&StopCause>) {
        let mut gathered = self.gathered();
        for waiting in batch.iter().filter_map(|wanted| gathered.waiting.remove(wanted)).flatten() {
            if let Some(cause) = cause {
                let _ = waiting.send(Err(cause.clone()));
            }
        }
    }
}

impl Gathered {
    fn wait_for(&mut self, wanted: Wanted) -> Waiting {
        let (waiting, answer) = oneshot::channel();
        let of_id = self.waiting.entry(wanted.clone()).or_default();
        if of_id.is_empty() {
            self.next.push(wanted);
        }
        of_id.push(waiting);
        Waiting::Asked(answer)
    }

    /// Whole batches; and whether somebody has to wait for what is left over.
    fn take_batches(&mut self) -> (Vec<Vec<Wanted>>, bool) {
        let mut batches = Vec::new();
        while self.next.len() >= MAX_REGISTER_IDS {
            batches.push(self.next.drain(..MAX_REGISTER_IDS).collect());
        }
        let must_linger = !self.next.is_empty() && !self.lingers;
        self.lingers |= must_linger;
        (batches, must_linger)
    }
}

/// Asks for the EUIDs of ids that aren't known yet.
pub(super) fn ask_for(ids: &Arc<Ids>, wanted: &[&str], asker: &Asker) -> Result<Vec<Waiting>, StateError> {
    let mut waiting = Vec::with_capacity(wanted.len());
    let mut looker = ids.looker();
    {
        // An answer is in the state before it leaves here: under the lock it is found in one of the two.
        let mut gathered = ids.gathering.gathered();
        for id in wanted {
            waiting.push(match ids.known(&mut looker, id)? {
                Some(answer) => Waiting::Known(answer),
                None => gathered.wait_for(Wanted { id: (*id).into(), again: false }),
            });
        }
    }
    begin(ids, asker);
    Ok(waiting)
}

/// Asks for the EUID of an id whatever is known.
pub(super) fn ask_again(ids: &Arc<Ids>, id: &str, asker: &Asker) -> Waiting {
    let waiting = ids.gathering.gathered().wait_for(Wanted { id: id.into(), again: true });
    begin(ids, asker);
    waiting
}

/// Begins to ask for whole batches, and to wait for others with what is left.
fn begin(ids: &Arc<Ids>, asker: &Asker) {
    let (batches, must_linger) = ids.gathering.gathered().take_batches();
    for batch in batches {
        tokio::spawn(ask(Arc::clone(ids), batch, asker.clone()));
    }
    if must_linger {
        let (ids, asker) = (Arc::clone(ids), asker.clone());
        tokio::spawn(async move {
            tokio::time::sleep(LINGER).await;
            let batch = {
                let mut gathered = ids.gathering.gathered();
                gathered.lingers = false;
                std::mem::take(&mut gathered.next)
            };
            if !batch.is_empty() {
                ask(ids, batch, asker).await;
            }
        });
    }
}
