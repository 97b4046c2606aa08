//! Which rows of earlier reports are sent again, and in which order: what failed, and what a verify found different.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use model::{Decision, Euid, NumberMap, Outcome, Reason};

use crate::{
    decided::is_sent_again,
    error::ReportError,
    gist::Gist,
    read::{ReadError, ReportReader},
    run_file::RunFile,
    source::{Moment, SourceReport},
};

/// Which failed and different rows are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// Those that failed and whose reason time can cure ([`Reason::curable`]), and those that a verify found different. Not
    /// those that failed in a verify: they were never compared, so that nothing says that they have to be sent.
    Curable,
    /// Those with one of these reasons, and those whose last answer had one of these codes.
    These {
        /// Reasons.
        reasons: Vec<Reason>,
        /// API codes.
        codes: Vec<i64>,
    },
    /// All.
    All,
}

/// What a replay is asked for.
#[derive(Debug, Clone)]
pub struct ReplayChoice {
    /// Which failed and different rows.
    pub chosen: Chosen,
    /// Also those behind which a row of the same user was accepted.
    pub include_superseded: bool,
    /// Rows decided longer ago are left alone.
    pub max_age: Duration,
}

impl Chosen {
    fn includes(&self, record: &Gist<'_>) -> bool {
        is_to_be_sent(record.outcome)
            && match self {
                Self::All => true,
                Self::Curable => record.outcome == Outcome::Different || record.reason.is_some_and(Reason::curable),
                Self::These { reasons, codes } => {
                    record.reason.is_some_and(|reason| reasons.contains(&reason))
                        || record.code.is_some_and(|code| codes.contains(&code))
                }
            }
    }

    /// Whether a record says nothing of whether its row is sent. `of_verify`: it is one of a verify's report.
    fn passes_over(&self, record: &Gist<'_>, of_verify: bool) -> bool {
        of_verify && record.outcome == Outcome::Failed && *self == Self::Curable
    }
}

/// The rows of reports that are sent again.
///
/// A row is a source, a row number and an id of the organisation's own, or where it has none an EUID, so that nights whose
/// exports bear one name are kept apart. Where the reports decide it several times the latest record counts. Rows of one
/// user have the EUID in common, or the id. Of two of them the later is that with the later
/// first record: in one report that which stands further down, in several that with the later time. A row that was sent
/// again, by a resume or a replay, is no later for that: it keeps the place that it had.
#[derive(Debug, Clone)]
pub struct ReplayPlan {
    reports: Vec<SourceReport>,
    /// The records to send of each report, in their order.
    records: Vec<Vec<Place>>,
    /// Rows left alone because a later row of their user was accepted.
    pub superseded: u64,
    /// Rows left alone because they were decided too long ago.
    pub expired: u64,
    /// Rows left alone because a verify could not compare them: nothing says that they have to be sent.
    pub not_compared: u64,
    /// Of the rows that are sent, those of which no EUID was obtained: it has to be asked for by the id.
    pub without_euid: u64,
    /// Rows of the reports are keyed by ids, at least some.
    pub has_ids: bool,
    /// Reports that are torn, with the byte behind which they are.
    pub torn: Vec<(PathBuf, u64)>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    moment: Moment,
    /// The byte at which it begins, without the compression.
    began: u64,
}

#[derive(Debug)]
struct Candidate {
    place: Place,
    at_ms: i64,
    /// A later record decides the row.
    overridden: bool,
    has_contacts: bool,
    has_euid: bool,
    users: [Option<u64>; 3],
}

impl Candidate {
    /// The numbers of its user.
    fn users(&self) -> impl Iterator<Item = u64> {
        self.users.into_iter().flatten()
    }
}

/// What is known of users beside the reports.
pub trait KnownUsers {
    /// When one was last set, in milliseconds since 1970.
    fn set_at(&mut self, euid: Euid) -> Option<i64>;

    /// Who has an id of the organisation's own.
    fn of_id(&mut self, _id: &str) -> Option<Euid> {
        None
    }
}

impl<F: FnMut(Euid) -> Option<i64>> KnownUsers for F {
    fn set_at(&mut self, euid: Euid) -> Option<i64> {
        self(euid)
    }
}

/// The numbers of a record's user: its EUID's, its id's, and that of the EUID that is known for the id.
fn users_of(record: &Gist<'_>, known: &mut impl KnownUsers) -> [Option<u64>; 3] {
    let mut users = record.users();
    let of_id = record.id.and_then(|id| std::str::from_utf8(id).ok()).filter(|id| !id.is_empty());
    [users.next(), users.next(), of_id.and_then(|id| known.of_id(id)).map(Euid::get)]
}

/// Source, row, and the number of what it is keyed by.
type Key = (u32, u64, u64);

/// The first record of a row in a report; of a replay's report, in the reports that it replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FirstRecord {
    place: Place,
    /// It holds what was to be sent.
    can_be_sent: bool,
    has_euid: bool,
}

/// Whether what such a row would set is not there, as far as anybody knows.
fn is_to_be_sent(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Different)
}

impl ReplayPlan {
    /// Looks through the reports. `own`: the replay's report so far, where it is resumed: rows that it decides are not
    /// sent once more. `now_ms`: milliseconds since 1970. `known`: when an EUID was last set by others than this replay,
    /// likewise, and who has an id, where that is known: rows decided before are left alone.
    pub fn make(
        reports: &[SourceReport],
        own: Option<&SourceReport>,
        choice: &ReplayChoice,
        now_ms: i64,
        mut known: impl KnownUsers,
    ) -> Result<Self, ReportError> {
        let mut plan = Self {
            records: vec![Vec::new(); reports.len()],
            reports: reports.to_vec(),
            superseded: 0,
            expired: 0,
            not_compared: 0,
            without_euid: 0,
            has_ids: false,
            torn: Vec::new(),
        };
        let mut sources: HashMap<Arc<str>, u32> = HashMap::new();
        let mut candidates: HashMap<Key, Candidate> = HashMap::new();
        // The latest record of each that says so.
        let mut not_compared: HashMap<Key, Moment> = HashMap::new();
        // The latest record that says that a row of a user was accepted; only of users with candidates.
        let mut accepted: NumberMap<Option<Moment>> = NumberMap::default();
        let of_verify = reports.iter().map(is_of_verify).collect::<Result<Vec<bool>, ReadError>>()?;
        for (number, report) in reports.iter().enumerate() {
            let path = report.path();
            let torn = report.skim(number, |moment, began, record| {
                plan.has_ids |= record.id.is_some();
                let is_passed_over = choice.chosen.passes_over(record, of_verify[number]);
                if !choice.chosen.includes(record) && !is_passed_over {
                    return Ok(());
                }
                let key = record.key_number().ok_or_else(|| foreign(path, moment.2))?;
                let next = u32::try_from(sources.len()).unwrap_or(u32::MAX);
                let source = *sources.entry(Arc::clone(record.source)).or_insert(next);
                if is_passed_over {
                    let latest = not_compared.entry((source, record.row, key)).or_insert(moment);
                    *latest = (*latest).max(moment);
                    return Ok(());
                }
                let users = users_of(record, &mut known);
                accepted.extend(users.iter().flatten().map(|user| (*user, None)));
                let place = Place { moment, began };
                let candidate = || Candidate {
                    place,
                    at_ms: record.at_ms,
                    overridden: false,
                    has_contacts: record.has_contacts,
                    has_euid: record.number.is_some(),
                    users,
                };
                let kept = candidates.entry((source, record.row, key)).or_insert_with(candidate);
                if kept.place.moment < moment {
                    *kept = candidate();
                }
                Ok::<_, ReportError>(())
            })?;
            plan.torn.extend(torn.map(|bytes| (path.to_owned(), bytes)));
        }
        let mut places: HashMap<(Key, usize), FirstRecord> = HashMap::new();
        let in_order = in_order(reports, own)?;
        for (number, replayed) in in_order {
            let is_own = number == reports.len();
            let Some(report) = reports.get(number).or(own) else { continue };
            report.skim(number, |moment, began, record| {
                let Some(key) = record.key_number() else { return Ok(()) };
                let is_passed_over =
                    of_verify.get(number).is_some_and(|of_verify| choice.chosen.passes_over(record, *of_verify));
                if !is_passed_over
                    && let Some(source) = sources.get(record.source).filter(|_| !not_compared.is_empty())
                    && let Entry::Occupied(before) = not_compared.entry((*source, record.row, key))
                    && *before.get() < moment
                {
                    before.remove();
                }
                let users = users_of(record, &mut known);
                if is_passed_over || !users.iter().flatten().any(|user| accepted.contains_key(user)) {
                    return Ok(());
                }
                let next = u32::try_from(sources.len()).unwrap_or(u32::MAX);
                let source = *sources.entry(Arc::clone(record.source)).or_insert(next);
                let key = (source, record.row, key);
                let first = places.get(&(key, number)).copied().unwrap_or_else(|| {
                    let before = replayed.iter().filter_map(|report| places.get(&(key, *report))).max();
                    let can_be_sent = is_to_be_sent(record.outcome) && record.has_contacts;
                    let (place, has_euid) = (Place { moment, began }, record.number.is_some());
                    before.copied().unwrap_or(FirstRecord { place, can_be_sent, has_euid })
                });
                places.insert((key, number), first);
                if matches!(record.outcome, Outcome::Synced | Outcome::Unchanged) {
                    for user in users.iter().flatten() {
                        if let Some(latest) = accepted.get_mut(user) {
                            *latest = (*latest).max(Some(first.place.moment));
                        }
                    }
                }
                if let Some(candidate) = candidates.get_mut(&key) {
                    candidate.overridden |=
                        if is_own { !is_sent_again(record) } else { moment > candidate.place.moment };
                }
                Ok::<_, ReportError>(())
            })?;
        }
        not_compared.retain(|key, _| !candidates.contains_key(key));
        plan.not_compared = not_compared.len() as u64;
        let mut rows_of_user: HashMap<u64, u32> = HashMap::new();
        for user in candidates.values().flat_map(Candidate::users) {
            *rows_of_user.entry(user).or_default() += 1;
        }
        for (key, candidate) in candidates {
            let (_, number, _) = candidate.place.moment;
            if candidate.overridden {
                continue;
            }
            let own_record = FirstRecord {
                place: candidate.place,
                can_be_sent: candidate.has_contacts,
                has_euid: candidate.has_euid,
            };
            let first = places.get(&(key, number)).copied().unwrap_or(own_record);
            let has_others = candidate.users().any(|user| rows_of_user.get(&user).is_some_and(|rows| *rows > 1));
            let set_at = candidate.users().filter_map(Euid::new).filter_map(|euid| known.set_at(euid)).max();
            let is_superseded = |user| accepted.get(&user).is_some_and(|moment| *moment > Some(first.place.moment));
            if !choice.include_superseded && candidate.users().any(is_superseded) {
                plan.superseded += 1;
            } else if now_ms.saturating_sub(candidate.at_ms)
                > i64::try_from(choice.max_age.as_millis()).unwrap_or(i64::MAX)
                || set_at.is_some_and(|set_at| candidate.at_ms < set_at)
            {
                plan.expired += 1;
            } else if first.can_be_sent && has_others {
                // Rows are sent in the order of their records: that of the first keeps it.
                let (_, number, _) = first.place.moment;
                plan.without_euid += u64::from(!first.has_euid);
                plan.records[number].push(first.place);
            } else if !candidate.has_contacts {
                return Err(ReportError::WithoutContacts {
                    path: reports[number].path().to_owned(),
                    record: candidate.place.moment.2 + 1,
                });
            } else {
                plan.without_euid += u64::from(!candidate.has_euid);
                plan.records[number].push(candidate.place);
            }
        }
        for places in &mut plan.records {
            places.sort_unstable_by_key(|place| place.began);
        }
        Ok(plan)
    }

    /// How many rows are sent.
    pub fn rows(&self) -> u64 {
        self.records.iter().map(|places| places.len() as u64).sum()
    }

    /// How many rows come from each report.
    pub fn rows_by_report(&self) -> Vec<u64> {
        self.records.iter().map(|places| places.len() as u64).collect()
    }

    /// Reads the rows again, in the order in which they were decided: so rows of one EUID keep theirs. No other record
    /// of a report is read for that, unless it is compressed.
    pub fn into_rows(self) -> Result<ReplayRows, ReportError> {
        let mut reports = Vec::with_capacity(self.reports.len());
        for (report, places) in self.reports.iter().zip(self.records) {
            let mut records = ChosenRecords { reader: report.records()?, places: places.into_iter() };
            let head = records.next()?;
            reports.push((records, head));
        }
        Ok(ReplayRows { reports })
    }
}

/// The numbers of the reports, each behind those of the given ones that it is a replay of, and with their numbers; last that
/// of the replay's own report, where there is one.
fn in_order(given: &[SourceReport], own: Option<&SourceReport>) -> Result<Vec<(usize, Vec<usize>)>, ReportError> {
    let replay = |report: &SourceReport| match RunFile::read(report.path()) {
        Ok(Some(run)) if run.command == "replay" => run.inputs.into_iter().map(|input| input.blake3).collect(),
        _ => Vec::new(),
    };
    let replayed: Vec<Vec<String>> = given.iter().map(replay).collect();
    let mut digests = Vec::new();
    if replayed.iter().any(|digests| !digests.is_empty()) {
        for report in given {
            digests.push(report.as_input()?.blake3);
        }
    }
    let mut left: Vec<(usize, Vec<usize>)> = (0..given.len())
        .map(|number| {
            let before = (0..digests.len()).filter(|of| *of != number && replayed[number].contains(&digests[*of]));
            (number, before.collect())
        })
        .collect();
    let mut ordered: Vec<(usize, Vec<usize>)> = Vec::with_capacity(given.len() + 1);
    while !left.is_empty() {
        let is_next =
            |(_, before): &(usize, Vec<usize>)| before.iter().all(|of| ordered.iter().any(|(it, _)| it == of));
        // A report can't be a replay of its own replay; were one forged, it would stand for itself.
        let next = left.iter().position(is_next).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered.extend(own.map(|_| (given.len(), (0..given.len()).collect())));
    Ok(ordered)
}

/// Whether a verify wrote the report: by what lies beside it, or else by the first record that says so. Most say so.
fn is_of_verify(report: &SourceReport) -> Result<bool, ReadError> {
    if let Ok(Some(run)) = report.run() {
        return Ok(run.command == "verify");
    }
    for record in report.records()? {
        match record {
            Ok(record) => match record.outcome {
                Outcome::Landed | Outcome::Different | Outcome::Superseded => return Ok(true),
                Outcome::Synced | Outcome::Unchanged | Outcome::Valid => return Ok(false),
                // Of either.
                Outcome::Rejected | Outcome::Failed => {}
            },
            Err(ReadError::Torn { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn foreign(path: &Path, place: u64) -> ReportError {
    let what = "a row that was sent has neither an EUID nor an id".to_owned();
    ReportError::Read(ReadError::Foreign { path: path.to_owned(), record: place + 1, what })
}

/// Failed and different records, to be sent again.
#[derive(Debug)]
pub struct ReplayRows {
    reports: Vec<(ChosenRecords, Option<(i64, Decision)>)>,
}

#[derive(Debug)]
struct ChosenRecords {
    reader: ReportReader,
    /// Those that are still to be read.
    places: std::vec::IntoIter<Place>,
}

impl ChosenRecords {
    /// The next chosen record with its time.
    fn next(&mut self) -> Result<Option<(i64, Decision)>, ReadError> {
        let Some(Place { moment: (time, _, place), began }) = self.places.next() else { return Ok(None) };
        self.reader.go_to(began, place)?;
        let record = self.reader.next().transpose()?;
        Ok(record.map(|record| (time, record)))
    }
}

impl Iterator for ReplayRows {
    type Item = Result<Decision, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let heads = self.reports.iter_mut().filter(|(_, head)| head.is_some());
        let (records, head) = heads.min_by_key(|(_, head)| head.as_ref().map(|(time, _)| *time))?;
        let (_, record) = head.take()?;
        match records.next() {
            Ok(next) => *head = next,
            Err(error) => return Some(Err(error.into())),
        }
        Some(Ok(record))
    }
}
