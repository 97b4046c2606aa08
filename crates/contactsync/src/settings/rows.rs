use std::ops::AddAssign;

use model::{Counters, Record, Shard};
use validator::{Place, Rules, Sharding};

/// Which rows of all the input are taken: `--skip` and `--limit`, and of those that are left `--shard`.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowChoice {
    skip: u64,
    limit: Option<u64>,
    sharding: Option<Sharding>,
}

/// Rows that were left out, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Before the range that is taken.
    pub(crate) before: u64,
    /// Behind it.
    pub(crate) behind: u64,
    /// In another shard.
    pub(crate) elsewhere: u64,
    /// Of these, rows that may be of any user: whose they are can't be read.
    pub(crate) of_nobody: u64,
}

impl RowChoice {
    /// All rows but so many at the beginning, and at most so many.
    pub(crate) fn range(skip: u64, limit: Option<u64>) -> Self {
        Self { skip, limit, sharding: None }
    }

    /// Of these rows those of one shard. `rules` say what is an id.
    pub(crate) fn of_shard(self, shard: Option<Shard>, rules: &Rules) -> Self {
        Self { sharding: shard.map(|shard| Sharding::new(shard, rules)), ..self }
    }

    /// Whether a row is taken; one that isn't is counted. `number`: 1 for the first of all the input. Who left some out
    /// before, because an earlier try has decided them, takes the same ones.
    pub(crate) fn takes(&self, number: u64, record: &Record<'_>, left_out: &mut LeftOut) -> bool {
        if number <= self.skip {
            left_out.before += 1;
            return false;
        }
        if self.last().is_some_and(|last| number > last) {
            left_out.behind += 1;
            return false;
        }
        let Some(sharding) = &self.sharding else { return true };
        let place = sharding.place_of(record);
        left_out.elsewhere += u64::from(place != Place::Here);
        left_out.of_nobody += u64::from(place == Place::OfNobodyElsewhere);
        place == Place::Here
    }

    /// Whether all rows are, or all of a shard.
    pub(crate) fn takes_all(&self) -> bool {
        self.skip == 0 && self.limit.is_none()
    }

    /// So many rows are left out at the beginning.
    pub(crate) fn skip(&self) -> u64 {
        self.skip
    }

    /// At most so many rows are looked at.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// About how many rows are taken at most, where there is a limit: a shard has its part of them.
    pub(crate) fn expected(&self) -> Option<u64> {
        let shards = self.shard().map_or(1, Shard::count);
        self.limit.map(|limit| limit.div_ceil(shards.into()))
    }

    /// The number of the last row that may be taken, where there is a limit.
    pub(crate) fn last(&self) -> Option<u64> {
        self.limit.map(|limit| self.skip.saturating_add(limit))
    }

    /// The shard that they are of.
    pub(crate) fn shard(&self) -> Option<Shard> {
        self.sharding.as_ref().map(Sharding::shard)
    }
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, other: Self) {
        self.before += other.before;
        self.behind += other.behind;
        self.elsewhere += other.elsewhere;
        self.of_nobody += other.of_nobody;
    }
}

impl LeftOut {
    /// Shows it in the progress. Rows behind the range are no part of what there is to do.
    pub(crate) fn add_to(&self, counters: &Counters) {
        Counters::add(&counters.rows_skipped, self.before);
        Counters::add(&counters.rows_elsewhere, self.elsewhere);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

    use model::{IdentityKind, RecordBatch};
    use proptest::prelude::*;
    use reader::{Format, ReaderOptions, RowKey, open_all};
    use validator::{IdRules, Key, Validator};

    use super::*;

    #[test]
    fn rows_before_and_behind_the_range_are_left_out() {
        let batches = batches(Format::Ndjson, &vec![Some("7".to_owned()); 6], RowKey::Euid);
        let taken = |skip, limit| {
            let (choice, mut left_out) = (RowChoice::range(skip, limit), LeftOut::default());
            let taken = batches
                .iter()
                .flat_map(RecordBatch::iter)
                .filter(|record| choice.takes(record.row(), record, &mut left_out));
            let taken: Vec<u64> = taken.map(|record| record.row()).collect();
            (taken, left_out.before, left_out.behind)
        };
        assert_eq!(taken(2, Some(1)), (vec![3], 2, 3));
        assert_eq!(taken(0, Some(0)), (vec![], 0, 6));
        assert_eq!(taken(1, None), (vec![2, 3, 4, 5, 6], 1, 0));
        assert_eq!(RowChoice::range(2, Some(u64::MAX)).last(), Some(u64::MAX));
        let of_shard =
            |limit| RowChoice::range(0, limit).of_shard(Some(Shard::new(0, 4).unwrap()), &Rules::default()).expected();
        assert_eq!([of_shard(Some(100)), of_shard(Some(1)), of_shard(None)], [Some(25), Some(1), None]);
    }

    /// Rows with these keys, read from a file; a row without one is none that can be read.
    fn batches(format: Format, keys: &[Option<String>], key: RowKey) -> Vec<RecordBatch> {
        let column = key.usual_column();
        let row = |key: &Option<String>| match key {
            Some(key) => serde_json::json!({column: key, "email": "a@example.com"}).to_string(),
            None => "[]".to_owned(),
        };
        let text = match format {
            Format::Json => format!("[{}]", keys.iter().map(row).collect::<Vec<_>>().join(",")),
            Format::Ndjson => keys.iter().map(|key| row(key) + "\n").collect(),
            Format::Csv | Format::Tsv => {
                let mut text = format!("{column},email\n");
                for key in keys {
                    let _ = match key {
                        Some(key) => writeln!(text, "\"{key}\",a@example.com"),
                        None => writeln!(text, "1,2,3"),
                    };
                }
                text
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        fs::write(&path, text).unwrap();
        read(
            &path,
            &ReaderOptions { format: Some(format), key, key_column: column.to_owned(), ..ReaderOptions::default() },
        )
    }

    fn read(path: &Path, options: &ReaderOptions) -> Vec<RecordBatch> {
        let mut inputs = open_all(&[path], options).unwrap();
        let (mut records, mut batches) = (inputs[0].records().unwrap(), Vec::new());
        loop {
            let mut batch = RecordBatch::default();
            let more = records.next_batch(&mut batch).unwrap();
            batches.push(batch);
            if !more {
                return batches;
            }
        }
    }

    fn keys() -> impl Strategy<Value = Vec<Option<String>>> {
        let number = prop_oneof![1..40_u64, Just(i64::MAX as u64)];
        let odd = ["", " ", "0", "x", "1.0", "1E5", "NULL", "１", "-1", "9223372036854775808", "é", "A", "a", "a b"];
        let key = prop_oneof![
            6 => number.clone().prop_map(|number| number.to_string()),
            2 => number.prop_map(|number| format!(" 00{number}\t")),
            3 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        ];
        let rest = prop::collection::vec(prop::option::weighted(0.9, key.clone()), 0..60);
        // Where no line is an object the input is no NDJSON.
        (rest, key, any::<prop::sample::Index>()).prop_map(|(mut keys, key, at)| {
            keys.insert(at.index(keys.len() + 1), Some(key));
            keys
        })
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_shard_and_all_of_a_user_in_the_same(
            keys in keys(),
            format in prop::sample::select(vec![Format::Csv, Format::Ndjson, Format::Json]),
            by_id: bool,
            count in 1..9_u32,
            skip in 0..20_u64,
            limit in prop::option::of(0..50_u64),
        ) {
            let (ids, key) = if by_id {
                let rules = IdRules { column: "user_id".to_owned(), allowed: Vec::new() };
                (Some(rules), RowKey::Id(IdentityKind::UserId))
            } else {
                (None, RowKey::Euid)
            };
            let rules = Rules { ids, ..Rules::default() };
            let batches = batches(format, &keys, key);
            prop_assert_eq!(batches.iter().map(|batch| batch.records.len()).sum::<usize>(), keys.len());
            let range = RowChoice::range(skip, limit);
            let choices: Vec<RowChoice> = (0..count)
                .map(|number| range.clone().of_shard(Some(Shard::new(number, count).unwrap()), &rules))
                .collect();
            let (mut counted, mut shards) = (vec![LeftOut::default(); choices.len()], HashMap::new());
            let (mut taken, mut validator) = (0, Validator::new(rules));
            for record in batches.iter().flat_map(RecordBatch::iter) {
                let number = record.row();
                let takes = |(choice, left_out): (&RowChoice, &mut LeftOut)| choice.takes(number, &record, left_out);
                let by: Vec<bool> = choices.iter().zip(&mut counted).map(takes).collect();
                let shard = by.iter().position(|takes| *takes);
                let is_in_range = range.takes(number, &record, &mut LeftOut::default());
                prop_assert_eq!(by.iter().filter(|takes| **takes).count(), usize::from(is_in_range), "{:?}", by);
                taken += u64::from(is_in_range);
                let Some(shard) = shard else { continue };
                // Also of a row that isn't let through the key may be read.
                let user = match validator.validate(&record).ok().map(|accepted| accepted.key(&record)) {
                    Some(Key::Euid(euid)) => euid.to_string(),
                    Some(Key::Id(id)) => id.to_owned(),
                    None if record.fault().is_some() && !record.euid_text().is_empty() => continue,
                    None => {
                        prop_assert_eq!(shard as u64, number % u64::from(count), "{:?}", record.euid());
                        continue;
                    }
                };
                prop_assert_eq!(*shards.entry(user).or_insert(shard), shard, "{:?}", record.euid());
            }
            let elsewhere: u64 = counted.iter().map(|left_out| left_out.elsewhere).sum();
            prop_assert_eq!(elsewhere, taken * u64::from(count - 1));
        }
    }
}
