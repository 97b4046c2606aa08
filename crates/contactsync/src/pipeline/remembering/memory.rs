use std::{
    collections::HashSet,
    hash::BuildHasherDefault,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use dispatcher::{Asker, BoxFuture, Memory, Recall, StopCause, Turn};
use jiff::Timestamp;
use model::{Contact, NumberHasher, NumberMap, Origin, Outcome, Reason};
use report::{Change, ComparisonFigures};
use state::{Ended, Kept, Looker, Meta, State, StateError};

use super::{
    super::unchanged::UnchangedRows, Remembered, ages::Ages, committing::CommitHandle, glancing::Undecided, stop_cause,
};

/// EUIDs with attempts that may still land, of one run. More are as good as all.
const MOST_TO_LAND: usize = 1_000_000;

/// A state as the dispatcher's memory.
pub(super) struct StateMemory {
    state: Arc<State>,
    /// One for each call that may be under way at once; more are made as they are needed.
    lookers: Mutex<Vec<Looker>>,
    undecided: Arc<Undecided>,
    unchanged: UnchangedRows,
    figures: ComparisonFigures,
    under_way: Mutex<UnderWay>,
    committer: CommitHandle,
    compares: bool,
    omitted_kept: bool,
    opened_ms: u64,
    ages: Ages,
    api_key: String,
    /// Of a run that goes on: what another run has set since it began is newer than its rows.
    resumed: Option<Resumed>,
    /// Whether a row was accepted under that key, so that the state belongs to it.
    is_bound: AtomicBool,
}

impl StateMemory {
    pub(super) fn new(
        remembered: &Remembered,
        undecided: &Arc<Undecided>,
        ages: Ages,
        unchanged: &UnchangedRows,
        figures: ComparisonFigures,
        committer: CommitHandle,
    ) -> Self {
        let Remembered { state, settings, api_key, opened_ms, only_sets, .. } = remembered;
        Self {
            state: Arc::clone(state),
            lookers: Mutex::default(),
            undecided: Arc::clone(undecided),
            unchanged: unchanged.clone(),
            figures,
            under_way: Mutex::default(),
            committer,
            compares: !settings.refresh && !only_sets,
            omitted_kept: settings.omitted_kept,
            opened_ms: *opened_ms,
            ages,
            api_key: api_key.clone(),
            resumed: remembered.resumed.as_ref().map(|begun| Resumed { begun: begun.clone(), meta: state.meta() }),
            is_bound: AtomicBool::new(state.meta().api_key.as_ref() == Some(api_key)),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows of which something isn't known, and nothing is known to be otherwise.
    pub(super) fn not_known<'c>(&self, rows: &[&'c Contact]) -> Result<Vec<&'c Contact>, StateError> {
        let mut looker = self.take_looker();
        let mut not_known = Vec::new();
        {
            let mut looking = looker.look();
            for row in rows {
                let (mut lacks_any, mut differs) = (false, false);
                looking.compare(row.euid, row.contacts.iter(), |_, _, kept| match kept {
                    Kept::Same => {}
                    Kept::Different => differs = true,
                    Kept::Unknown | Kept::Nothing => lacks_any = true,
                })?;
                if lacks_any && !differs {
                    not_known.push(*row);
                }
            }
        }
        self.give_back_looker(looker);
        Ok(not_known)
    }

    /// What the service was found to hold of a row's user. Where that is what the row wants, it is as good as set now.
    pub(super) fn learn(&self, row: &Contact, found: &[(&str, &str)]) -> Result<(), StateError> {
        self.bind();
        let is_wanted = row.contacts.iter().eq(found.iter().copied());
        self.state.learn(row.euid, found.iter().copied(), is_wanted.then(|| self.now_ms()))
    }

    /// A clock that is set back doesn't make it another run's.
    fn now_ms(&self) -> u64 {
        u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default().max(self.opened_ms)
    }

    /// The state belongs to the API key from now on. Comes before anything is set: what is known never belongs to nobody.
    fn bind(&self) {
        if !self.is_bound.swap(true, SeqCst) {
            // Plain text: it can always be written down.
            let _ = self.state.set_meta(|meta| meta.api_key = Some(self.api_key.clone()));
        }
    }

    fn take_looker(&self) -> Looker {
        let looker = self.lookers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        looker.unwrap_or_else(|| self.state.looker())
    }

    fn give_back_looker(&self, looker: Looker) {
        self.lookers.lock().unwrap_or_else(PoisonError::into_inner).push(looker);
    }

    /// Makes up its mind about rows: what is to become of them, once that is durable which must be before any is sent.
    pub(super) async fn decide(&self, rows: &[&Contact]) -> Result<Vec<Recall>, StopCause> {
        if let Some(row) = self.overtaken(rows).map_err(|error| stop_cause(&error))? {
            let Origin { source, row, .. } = &row.origin;
            return Err(StopCause::Report(format!(
                "another run over the same state has since set the user of row {row} of {source}: its values are newer, and \
                 the row is not sent"
            )));
        }
        let (recalled, needs) = self.compare(rows).map_err(|error| stop_cause(&error))?;
        if let Some(Needs { saves_run }) = needs {
            self.committer.commit(saves_run).await?;
        }
        Ok(recalled)
    }

    /// The first of these rows whose user another run has set since this one began. All rows were looked at before it went on;
    /// what is left are those whose id wasn't known then.
    fn overtaken<'c>(&self, rows: &[&'c Contact]) -> Result<Option<&'c Contact>, StateError> {
        let Some(Resumed { begun: (run, begun_ms), meta }) = &self.resumed else { return Ok(None) };
        let mut looker = self.take_looker();
        let mut overtaken = None;
        {
            let mut looking = looker.look();
            for row in rows.iter().filter(|row| row.id.is_some()) {
                let set_at = looking.set_at(row.euid)?.filter(|at| at > begun_ms);
                if set_at.is_some_and(|at| meta.opened_by(at) != Some(run)) {
                    overtaken = Some(*row);
                    break;
                }
            }
        }
        self.give_back_looker(looker);
        Ok(overtaken)
    }

    /// What is to become of the rows, and what must be durable before any of them is sent.
    fn compare(&self, rows: &[&Contact]) -> Result<(Vec<Recall>, Option<Needs>), StateError> {
        let mut looker = self.take_looker();
        let (mut recalled, mut to_send) = (Vec::with_capacity(rows.len()), Vec::new());
        let (mut unchanged, mut changes) = (Vec::new(), Vec::new());
        {
            let mut looking = looker.look();
            for row in rows {
                if self.compares && looking.is_unchanged(row.euid, row.contacts.iter())? {
                    // Known to be so before anything that is sent later of this EUID.
                    self.unchanged.note(&row.origin.source, row.origin.row);
                    unchanged.push(row.euid);
                    recalled.push(Recall::Unchanged);
                    continue;
                }
                let mut of_row = Vec::with_capacity(row.contacts.len());
                looking.compare(row.euid, row.contacts.iter(), |_, value, kept| of_row.push(change(value, kept)))?;
                changes.push((row.euid.get(), of_row));
                to_send.push(looking.to_send(row.euid)?);
                recalled.push(Recall::Send);
            }
        }
        self.give_back_looker(looker);
        self.under_way().changes.extend(changes);
        self.undecided.decided(unchanged);
        let saves_run = to_send.iter().any(|row| row.needs_mark() && row.was_unchanged());
        let needs = to_send.iter().any(state::ToSend::needs_mark).then_some(Needs { saves_run });
        self.state.mark(to_send);
        Ok((recalled, needs))
    }
}

/// A run that goes on: what all its tries have in common, when it began, and who had the state open since.
struct Resumed {
    begun: (String, u64),
    meta: Meta,
}

/// What has to be known of rows until they end, and of some until the run does.
#[derive(Default)]
struct UnderWay {
    /// What each contact of a row changes, by the row's EUID: counted once the row is decided.
    changes: NumberMap<Vec<Option<Change>>>,
    /// EUIDs with an attempt that may still be carried out, behind whatever is accepted later.
    may_land: HashSet<u64, BuildHasherDefault<NumberHasher>>,
}

impl UnderWay {
    /// Whether an earlier row of an EUID may still land. Where too many are to be remembered, any may.
    fn may_land(&self, euid: u64) -> bool {
        self.may_land.len() >= MOST_TO_LAND || self.may_land.contains(&euid)
    }
}

/// What must be durable before rows are sent: their marks.
struct Needs {
    /// And before these, which rows were unchanged.
    saves_run: bool,
}

impl Memory for StateMemory {
    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], _asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        Box::pin(async move {
            let rows: Vec<&Contact> = turns.iter().map(|turn| turn.contact).collect();
            self.decide(&rows).await
        })
    }

    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>, may_land: bool) {
        let is_accepted = outcome == Outcome::Synced;
        let euid = contact.euid.get();
        let mut under_way = self.under_way();
        let changes = under_way.changes.remove(&euid).unwrap_or_default();
        let earlier_may_land = under_way.may_land(euid);
        if may_land && !earlier_may_land {
            under_way.may_land.insert(euid);
        }
        drop(under_way);
        let names = contact.contacts.iter().map(|(name, _)| name);
        self.figures.count(names.zip(changes).filter_map(|(name, change)| Some((name, change?))));
        let ended = match reason {
            _ if !is_accepted => Ended::Failed,
            None if !earlier_may_land => Ended::Accepted(contact.contacts.iter()),
            _ => Ended::InPart(contact.contacts.iter()),
        };
        let at_ms = self.ages.take(&contact.origin).unwrap_or_else(|| self.now_ms());
        if is_accepted {
            self.bind();
        }
        self.state.ended(contact.euid, ended, at_ms, self.omitted_kept);
        self.undecided.decided([contact.euid]);
    }
}

/// What a contact that is to be sent changes, as far as it is known.
pub(crate) fn change(value: &str, kept: Kept) -> Option<Change> {
    match kept {
        Kept::Same => None,
        // It is there or may be, as far as anybody knows.
        _ if value.is_empty() => Some(Change::Cleared),
        Kept::Nothing => Some(Change::New),
        Kept::Unknown => None,
        Kept::Different => Some(Change::Changed),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dispatcher::Stop;
    use model::{Euid, Origin};
    use report::{Comparison, NameChanges};

    use super::{
        super::{super::unchanged::UnchangedRows, Uncertain, committing::Committer},
        *,
    };
    use crate::settings::StateSettings;

    fn row(row: u64, value: &str) -> Contact {
        let mut contacts = model::Contacts::default();
        contacts.push("email".into(), value);
        let origin = Origin { source: "a.csv".into(), row, line: row + 1 };
        Contact { origin, id: None, euid_text: "1".into(), euid: Euid::new(1).unwrap(), contacts }
    }

    struct Place {
        memory: StateMemory,
        figures: ComparisonFigures,
        _committer: Committer,
    }

    fn place(folder: &Path) -> Place {
        let path = folder.join("state");
        let state = Arc::new(State::open(&path).unwrap());
        let settings = StateSettings { path, refresh: false, omitted_kept: false, report_vanished: None };
        let remembered = Remembered {
            state,
            settings,
            api_key: "key".to_owned(),
            opened_ms: 1,
            only_sets: false,
            is_kept: true,
            compares: None,
            resumed: None,
            uncertain: Uncertain::default(),
        };
        let unchanged = UnchangedRows::new([("a.csv".into(), report::RowSet::default())], Arc::default());
        let committer = Committer::start(Arc::clone(&remembered.state), None, Stop::default()).unwrap();
        let figures = ComparisonFigures::from(Comparison::default());
        let memory = StateMemory::new(
            &remembered,
            &Arc::default(),
            Ages::default(),
            &unchanged,
            figures.clone(),
            committer.handle(),
        );
        Place { memory, figures, _committer: committer }
    }

    fn recall(memory: &StateMemory, contact: &Contact) -> Recall {
        memory.compare(&[contact]).unwrap().0.remove(0)
    }

    #[test]
    fn a_later_row_is_not_known_where_an_earlier_one_may_still_land_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let Place { memory, .. } = place(folder.path());
        let [a, b] = [row(1, "a"), row(2, "b")];
        assert_eq!(recall(&memory, &a), Recall::Send);
        memory.ended(&a, Outcome::Synced, None, true);
        assert_eq!(recall(&memory, &a), Recall::Unchanged, "whichever attempt lands, it sets the same");
        assert_eq!(recall(&memory, &b), Recall::Send);
        memory.ended(&b, Outcome::Synced, None, false);
        for later in [&a, &b] {
            assert_eq!(recall(&memory, later), Recall::Send);
        }
        memory.state.finish().unwrap();
        drop(memory);
        let Place { memory, .. } = place(folder.path());
        assert_eq!(recall(&memory, &b), Recall::Send, "nor is it in the next run");
        memory.ended(&b, Outcome::Synced, None, false);
        assert_eq!(recall(&memory, &b), Recall::Unchanged, "but once that has set it");
    }

    #[test]
    fn what_a_row_changes_is_counted_once_it_is_decided() {
        let folder = tempfile::tempdir().unwrap();
        let Place { memory, figures, .. } = place(folder.path());
        let [a, b] = [row(1, "a"), row(2, "b")];
        assert_eq!(recall(&memory, &a), Recall::Send);
        assert_eq!(figures.figures(), Comparison::default());
        memory.ended(&a, Outcome::Synced, None, false);
        assert_eq!(recall(&memory, &b), Recall::Send);
        memory.ended(&b, Outcome::Failed, None, false);
        assert_eq!(figures.figures().names["email"], NameChanges { new: 1, changed: 1, cleared: 0 });
    }
}
