//! Workers that wait for something to do. Who was woken and hasn't looked yet is counted, so that nobody is woken twice
//! for one row.

/// A worker, by number.
pub(crate) type WorkerId = usize;
/// A runtime, by number.
pub(crate) type Home = usize;

#[derive(Debug)]
pub(crate) struct Idle {
    /// By runtime, the one that waits for the shortest time last: its connection is the least likely to be stale.
    waiting: Vec<Vec<WorkerId>>,
    homes: Vec<Home>,
    woken: Vec<bool>,
    woken_count: usize,
}

impl Idle {
    /// Of workers that live on these runtimes; none waits.
    pub(crate) fn new(homes: Vec<Home>) -> Self {
        let runtimes = homes.iter().max().map_or(0, |last| last + 1);
        Self { waiting: vec![Vec::new(); runtimes], woken: vec![false; homes.len()], homes, woken_count: 0 }
    }

    /// How many there are, busy or not.
    pub(crate) fn workers(&self) -> usize {
        self.homes.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    /// How many were woken and have not looked yet.
    pub(crate) fn woken(&self) -> usize {
        self.woken_count
    }

    /// A worker looks for something to do.
    pub(crate) fn looks(&mut self, worker: WorkerId) {
        if std::mem::take(&mut self.woken[worker]) {
            self.woken_count -= 1;
        }
    }

    /// It found nothing, and will wait.
    pub(crate) fn waits(&mut self, worker: WorkerId) {
        self.waiting[self.homes[worker]].push(worker);
    }

    /// Takes so many of those that wait, to be woken: of the first runtime first, so that few threads are awake where there
    /// is little to do.
    pub(crate) fn wake(&mut self, mut count: usize, into: &mut Vec<WorkerId>) {
        for waiting in &mut self.waiting {
            while count > 0
                && let Some(worker) = waiting.pop()
            {
                self.woken[worker] = true;
                self.woken_count += 1;
                into.push(worker);
                count -= 1;
            }
        }
    }
}
