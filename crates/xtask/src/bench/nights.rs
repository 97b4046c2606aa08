//! Nightly exports: the same contacts in several orders, with some of them changed, and keyed by ids.

use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Bench, inputs::made};
use crate::generate::FIRST_EUID;

const NAMES: [&str; 8] = ["ada", "ben", "chloe", "dmitri", "elif", "femi", "grace", "hiro"];

/// In which order an export has its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By EUID.
    Euid,
    /// By e-mail address: the same each night, and none that the state has.
    Email,
    /// None.
    Shuffled,
    /// By EUID, of half as many users: the second half of the rows repeats the first.
    Twice,
}

/// What a row begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Its user's EUID.
    Euid,
    /// The `user_id` that its user has elsewhere.
    UserId,
}

/// An export of so many rows with distinct EUIDs (but for [`Order::Twice`]), of which one in `changes_every` has another phone number than the
/// export without changes.
pub(crate) fn export(bench: &Bench, rows: u64, order: Order, changes_every: Option<u64>) -> anyhow::Result<PathBuf> {
    let changes = changes_every.map(|every| format!("-{every}")).unwrap_or_default();
    let path = bench.path(&format!("night-{rows}-{order:?}{changes}.csv").to_lowercase());
    if !path.exists() {
        made(&path, |path| write(path, Key::Euid, rows, order, changes_every))?;
    }
    Ok(path)
}

/// The same rows, keyed by ids.
pub(crate) fn keyed_by_ids(bench: &Bench, rows: u64, order: Order) -> anyhow::Result<PathBuf> {
    let path = bench.path(&format!("ids-{rows}-{order:?}.csv").to_lowercase());
    if !path.exists() {
        made(&path, |path| write(path, Key::UserId, rows, order, None))?;
    }
    Ok(path)
}

/// How many rows differ from those of the export without changes.
pub(crate) fn changed(rows: u64, changes_every: u64) -> u64 {
    (0..rows).filter(|number| is_changed(*number, Some(changes_every))).count() as u64
}

fn write(path: &Path, key: Key, rows: u64, order: Order, changes_every: Option<u64>) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let named = if key == Key::Euid { "euid" } else { "user_id" };
    writeln!(out, "{named},mobile_phone,email")?;
    let mut line = String::new();
    let mut put = |number: u64| {
        line.clear();
        row(&mut line, key, number, is_changed(number, changes_every));
        out.write_all(line.as_bytes())
    };
    match order {
        Order::Euid => (0..rows).try_for_each(&mut put)?,
        Order::Twice => (0..rows).try_for_each(|row| put(row % rows.div_ceil(2)))?,
        Order::Email | Order::Shuffled => {
            let mut numbers: Vec<u32> = (0..u32::try_from(rows)?).collect();
            if order == Order::Email {
                numbers.sort_unstable_by_key(|number| email_order(u64::from(*number)));
            } else {
                fastrand::Rng::with_seed(1).shuffle(&mut numbers);
            }
            numbers.into_iter().try_for_each(|number| put(u64::from(number)))?;
        }
    }
    Ok(out.flush()?)
}

pub(crate) fn row(line: &mut String, key: Key, number: u64, is_changed: bool) {
    let (phone, email) = (phone(number, is_changed), Email(number));
    // Writing to a text can't fail.
    let _ = match key {
        Key::Euid => writeln!(line, "{},{phone},{email}", euid(number)),
        Key::UserId => writeln!(line, "{},{phone},{email}", Id(number)),
    };
}

/// The EUID of a row by its number, from 0.
pub(crate) fn euid(number: u64) -> u64 {
    FIRST_EUID + 3 * number + mixed(number) % 3
}

/// Which row has this EUID, if one has it.
pub(crate) fn number_of(wanted: u64) -> Option<u64> {
    let number = wanted.checked_sub(FIRST_EUID)? / 3;
    (euid(number) == wanted).then_some(number)
}

/// The id of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) u64);

const ID_BEGINS: &str = "crm-";

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ID_BEGINS}{}", self.0)
    }
}

/// Which row has this id, if one can have it.
pub(crate) fn number_of_id(id: &[u8]) -> Option<u64> {
    std::str::from_utf8(id).ok()?.strip_prefix(ID_BEGINS)?.parse().ok()
}

/// The e-mail address of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Email(pub(crate) u64);

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@example.com", name(self.0), self.0)
    }
}

/// The phone number of a row.
pub(crate) fn phone(number: u64, is_changed: bool) -> impl fmt::Display {
    let last = (mixed(number) >> 8) % 500 + if is_changed { 500 } else { 0 };
    fmt::from_fn(move |f| write!(f, "+447700900{last:03}"))
}

fn name(number: u64) -> &'static str {
    NAMES[(mixed(number) >> 32) as usize % NAMES.len()]
}

/// What sorts as the row's e-mail address does.
fn email_order(number: u64) -> (&'static str, u64) {
    let digits = number.checked_ilog10().unwrap_or(0) + 1;
    // `@` stands behind the digits, so of 1 and 10 the longer is first.
    let key = (0..digits).rev().fold(0, |key, place| (key << 4) | (number / 10_u64.pow(place) % 10));
    (name(number), ((key << 4) | 0xf) << (4 * (15 - digits)))
}

fn is_changed(number: u64, changes_every: Option<u64>) -> bool {
    changes_every.is_some_and(|every| mixed(number ^ 0x5eed).is_multiple_of(every))
}

/// A number as good as drawn, the same each time (the finish of `SplitMix64`).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    fn lines(rows: u64, order: Order, changes_every: Option<u64>) -> Vec<String> {
        // Tests run beside each other.
        static FILES: AtomicU64 = AtomicU64::new(0);
        let file = FILES.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("contactsync-night-{}-{file}", std::process::id()));
        write(&path, Key::Euid, rows, order, changes_every).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn orders_differ_and_rows_do_not() {
        let by_euid = lines(2_000, Order::Euid, None);
        assert!(by_euid.is_sorted() && by_euid.len() == 2_000);
        for order in [Order::Email, Order::Shuffled] {
            let mut other = lines(2_000, order, None);
            assert!(!other.is_sorted());
            other.sort();
            assert_eq!(other, by_euid);
        }
        let email = |line: &String| line.rsplit(',').next().unwrap().to_owned();
        assert!(lines(2_000, Order::Email, None).is_sorted_by_key(email));
    }

    #[test]
    fn rows_come_again_where_they_should() {
        let (once, twice) = (lines(500, Order::Euid, None), lines(1_000, Order::Twice, None));
        assert_eq!((&twice[..500], &twice[500..]), (&*once, &*once));
    }

    #[test]
    fn rows_are_found_by_euid_and_id() {
        for number in (0..100_000).step_by(97) {
            assert_eq!(number_of(euid(number)), Some(number));
            assert_eq!(number_of_id(Id(number).to_string().as_bytes()), Some(number));
            let others = [euid(number) - 1, euid(number) + 1];
            assert!(others.iter().all(|other| number_of(*other) != Some(number)));
        }
        assert_eq!((number_of(1), number_of_id(b"crm-"), number_of_id(b"7")), (None, None, None));
    }

    #[test]
    fn as_many_rows_change_as_are_counted() {
        let (before, after) = (lines(10_000, Order::Euid, None), lines(10_000, Order::Euid, Some(100)));
        let differ = before.iter().zip(&after).filter(|(before, after)| before != after).count() as u64;
        assert_eq!(differ, changed(10_000, 100));
        assert!((70..130).contains(&differ), "{differ}");
    }
}
