//! When decisions become records on the disk: gathered for a while, but never for long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::{Counters, Decision, Outcome};
use report::{Journal, ReportError};

/// A decision waits so long for others, counted from the oldest. What is decided is to be on the disk a second later, and a
/// disk may be at work with what came before: the other half is for that.
const GATHERED: Duration = Duration::from_millis(500);
/// So often is looked whether the report is still there, also where nothing is decided.
const LOOKED_AFTER: Duration = Duration::from_secs(1);
/// Decisions that may wait for the disk.
pub(super) const WAITING: usize = 1_024;

/// Where decisions come from, and the clock by which they wait.
pub(super) trait Arrivals {
    /// Now.
    fn now(&self) -> Instant;

    /// Takes those that came meanwhile, at most [`WAITING`], without waiting for any.
    fn take(&mut self, into: &mut Vec<Decision>);

    /// Waits for further ones until a time. False once none will come any more.
    fn wait(&mut self, into: &mut Vec<Decision>, until: Instant) -> bool;
}

/// What lies beside the report and must never fall behind it.
pub(super) trait Beside {
    /// Takes note of a decision, and says whether what is on the disk knows of it already.
    fn covers(&mut self, decision: &Decision) -> bool;

    /// Brings it up to date on the disk.
    fn save(&mut self) -> Result<(), ReportError>;
}

/// Writes decisions into a journal.
pub(super) struct WriteBehind<B> {
    pub(super) journal: Journal,
    pub(super) beside: Option<B>,
    counters: Arc<Counters>,
    /// When the oldest decision was made that isn't on the disk: at the latest.
    oldest: Option<Instant>,
    /// Whether one of these is of a row that isn't known beside the report.
    uncovered: bool,
    /// Rows that were unchanged get a record too.
    writes_unchanged: bool,
    /// Rows that were unchanged and got none.
    pub(super) unchanged: u64,
    /// Decisions that were taken and have no record.
    pub(super) lost: u64,
}

impl<B: Beside> WriteBehind<B> {
    pub(super) fn new(journal: Journal, beside: Option<B>, counters: Arc<Counters>, writes_unchanged: bool) -> Self {
        let (oldest, uncovered) = (None, false);
        Self { journal, beside, counters, oldest, uncovered, writes_unchanged, unchanged: 0, lost: 0 }
    }

    /// Takes decisions until none will come any more. Everything is on the disk then, unless there was an error.
    pub(super) fn run(&mut self, arrivals: &mut impl Arrivals) -> Result<(), ReportError> {
        let mut batch = Vec::with_capacity(WAITING);
        // When all that had been decided was last taken: what is found now was decided later.
        let mut emptied = arrivals.now();
        let mut flushed = emptied;
        loop {
            let mut is_open = true;
            arrivals.take(&mut batch);
            let mut since = emptied;
            if batch.is_empty() {
                is_open = arrivals.wait(&mut batch, self.due(flushed));
                since = arrivals.now();
            }
            if batch.len() < WAITING {
                emptied = arrivals.now();
            }
            if !batch.is_empty() {
                self.oldest.get_or_insert(since);
            }
            self.append(&mut batch)?;
            if !is_open {
                return self.flush();
            }
            if arrivals.now() >= self.due(flushed) {
                self.flush()?;
                flushed = arrivals.now();
            }
        }
    }

    /// When everything is to be handed to the disk, after it was at a time.
    fn due(&self, flushed: Instant) -> Instant {
        self.oldest.map_or(flushed + LOOKED_AFTER, |oldest| oldest + GATHERED)
    }

    fn append(&mut self, batch: &mut Vec<Decision>) -> Result<(), ReportError> {
        let mut decisions = batch.drain(..);
        while let Some(decision) = decisions.next() {
            self.uncovered |= self.beside.as_mut().is_some_and(|beside| !beside.covers(&decision));
            count(&self.counters, decision.outcome);
            if decision.outcome == Outcome::Unchanged && !self.writes_unchanged {
                self.unchanged += 1;
                continue;
            }
            self.journal.append(&decision);
            if self.journal.is_full()
                && let Err(error) = self.cover().and_then(|_| self.journal.write())
            {
                self.lost += decisions.len() as u64;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Before records are written: what is decided must never be ahead of what lies beside the report. Whether that had to
    /// be saved.
    fn cover(&mut self) -> Result<bool, ReportError> {
        let is_behind = std::mem::take(&mut self.uncovered);
        if is_behind {
            self.save()?;
        }
        Ok(is_behind)
    }

    fn save(&mut self) -> Result<(), ReportError> {
        self.beside.as_mut().map_or(Ok(()), Beside::save)
    }

    /// Hands everything to the disk: the records first, where what lies beside the report is ahead of them anyway.
    fn flush(&mut self) -> Result<(), ReportError> {
        let is_saved = self.cover()?;
        self.journal.sync()?;
        self.oldest = None;
        if is_saved { Ok(()) } else { self.save() }
    }
}

fn count(counters: &Counters, outcome: Outcome) {
    let counter = match outcome {
        Outcome::Synced => &counters.synced,
        Outcome::Unchanged => &counters.unchanged,
        Outcome::Rejected => &counters.rejected,
        Outcome::Failed => &counters.failed,
        Outcome::Landed => &counters.landed,
        Outcome::Different => &counters.different,
        Outcome::Superseded => &counters.superseded,
        Outcome::Valid => return,
    };
    Counters::add(counter, 1);
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        path::Path,
        sync::Mutex,
    };

    use model::{Answered, Origin};
    use report::{ContactsPolicy, Storage};

    use super::*;

    /// A clock that goes on only where somebody waits, and what happened by it, in milliseconds.
    #[derive(Debug, Default)]
    struct World {
        now: u64,
        /// What each sync, and each save beside, takes.
        sync: u64,
        save: u64,
        written: Vec<(u64, u64)>,
        synced: Vec<(u64, u64)>,
        /// The last row that is known beside the report.
        covered: u64,
        /// Rows are read so far ahead of those decided.
        ahead: u64,
        failing: bool,
    }

    type Shared = Arc<Mutex<World>>;

    #[derive(Debug)]
    struct Disk(Shared);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut world = self.0.lock().unwrap();
            let now = world.now;
            for line in std::str::from_utf8(bytes).unwrap().lines() {
                let row = line.split_once("\"row\":").unwrap().1.split_once(',').unwrap().0.parse().unwrap();
                assert!(row <= world.covered, "row {row} is written, and only {} are known beside", world.covered);
                world.written.push((row, now));
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Storage for Disk {
        fn sync(&mut self) -> io::Result<()> {
            let mut world = self.0.lock().unwrap();
            world.now += world.sync;
            if world.failing {
                return Err(io::Error::other("no disk"));
            }
            let (now, done) = (world.now, world.synced.len());
            let new: Vec<_> = world.written[done..].iter().map(|(row, _)| (*row, now)).collect();
            world.synced.extend(new);
            Ok(())
        }

        fn is_in_place(&self) -> io::Result<bool> {
            Ok(true)
        }
    }

    struct Known(Shared);

    impl Beside for Known {
        fn covers(&mut self, decision: &Decision) -> bool {
            decision.origin.row <= self.0.lock().unwrap().covered
        }

        fn save(&mut self) -> Result<(), ReportError> {
            let mut world = self.0.lock().unwrap();
            world.covered = world.now / EVERY + world.ahead;
            world.now += world.save;
            Ok(())
        }
    }

    /// A row is decided so often.
    const EVERY: u64 = 10;

    /// Row n is decided n × [`EVERY`] milliseconds after the start.
    struct Rows {
        world: Shared,
        start: Instant,
        taken: u64,
        last: u64,
    }

    impl Arrivals for Rows {
        fn now(&self) -> Instant {
            self.start + Duration::from_millis(self.world.lock().unwrap().now)
        }

        fn take(&mut self, into: &mut Vec<Decision>) {
            let now = self.world.lock().unwrap().now;
            while self.taken < self.last && (self.taken + 1) * EVERY <= now && into.len() < WAITING {
                self.taken += 1;
                into.push(decision(self.taken));
            }
        }

        fn wait(&mut self, into: &mut Vec<Decision>, until: Instant) -> bool {
            if self.taken == self.last {
                return false;
            }
            let next = (self.taken + 1) * EVERY;
            let until = (until - self.start).as_millis() as u64;
            {
                let mut world = self.world.lock().unwrap();
                world.now = world.now.max(next.min(until));
            }
            self.take(into);
            true
        }
    }

    fn decision(row: u64) -> Decision {
        Decision {
            origin: Origin { source: "a".into(), row, line: row + 1 },
            euid: row.to_string().into(),
            id: None,
            outcome: Outcome::Synced,
            reason: None,
            answered: Answered::default(),
            attempts: 1,
            latency_ms: None,
            at_ms: 0,
            contacts: None,
            raw: None,
        }
    }

    fn run(world: World, rows: u64) -> Shared {
        let world = Arc::new(Mutex::new(world));
        let storage = Box::new(Disk(Arc::clone(&world)));
        let journal = Journal::in_storage(Path::new("r.ndjson"), storage, ContactsPolicy::Failed);
        world.lock().unwrap().now = 0;
        let mut rows = Rows { world: Arc::clone(&world), start: Instant::now(), taken: 0, last: rows };
        let mut writer = WriteBehind::new(journal.unwrap(), Some(Known(Arc::clone(&world))), Arc::default(), false);
        writer.run(&mut rows).unwrap();
        world
    }

    /// A second, and the time that the disk takes for that one sync; a kill that spares the machine needs no sync.
    #[test]
    fn on_a_slow_disk_nothing_decided_a_second_ago_is_missing() {
        for (sync, save) in [(0, 0), (20, 40), (200, 0), (200, 400), (300, 0), (300, 150)] {
            // As far as the reader is ahead, and not ahead at all, as with rows that come by a slow pipe.
            for ahead in [0, 100_000] {
                let world = run(World { sync, save, ahead, ..World::default() }, 1_000);
                let world = world.lock().unwrap();
                assert_eq!(world.synced.len(), 1_000);
                for (what, records, most) in
                    [("written", &world.written, 1_000), ("synced", &world.synced, 1_000 + sync)]
                {
                    let late = records.iter().map(|(row, at)| at - row * EVERY).max().unwrap();
                    assert!(late <= most, "{what} after {late} ms; sync {sync}, save {save}, ahead {ahead}");
                }
            }
        }
    }

    #[test]
    fn what_lies_beside_the_report_is_never_behind_it_and_kept_up() {
        for ahead in [0, 7, 100_000] {
            let world = run(World { sync: 200, save: 400, ahead, ..World::default() }, 500);
            // That it is never behind is seen with each write.
            assert!(world.lock().unwrap().covered >= 500);
        }
    }

    #[test]
    fn rows_are_gathered_and_a_lonely_one_does_not_wait_for_the_next() {
        let world = run(World::default(), 1_000);
        let world = world.lock().unwrap();
        let mut times: Vec<u64> = world.synced.iter().map(|(_, at)| *at).collect();
        times.dedup();
        // Twice a second.
        assert_eq!((times.len(), world.written.len()), (20, 1_000), "{times:?}");
    }

    #[test]
    fn a_disk_that_fails_ends_it_and_every_decision_taken_is_accounted_for() {
        let world = Arc::new(Mutex::new(World { sync: 200, save: 400, ..World::default() }));
        let storage = Box::new(Disk(Arc::clone(&world)));
        let journal = Journal::in_storage(Path::new("r.ndjson"), storage, ContactsPolicy::Failed).unwrap();
        world.lock().unwrap().failing = true;
        let mut rows = Rows { world: Arc::clone(&world), start: Instant::now(), taken: 0, last: 1_000 };
        let mut writer = WriteBehind::new(journal, Some(Known(Arc::clone(&world))), Arc::default(), false);
        assert!(matches!(writer.run(&mut rows), Err(ReportError::Write { .. })));
        assert!(rows.taken > 0 && rows.taken < 1_000);
        assert_eq!(writer.journal.tally().total() + writer.journal.unwritten() + writer.lost, rows.taken);
    }
}
