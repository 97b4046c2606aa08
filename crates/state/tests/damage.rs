//! A file that lost its end, or in which anything was overwritten, is refused or says what it said before: never *unchanged*
//! of what isn't.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use model::Euid;
use state::{Ended, Meta, State, StateError};

const NAMES: [&str; 2] = ["email", "mobile_phone"];

fn euid(number: u64) -> Euid {
    Euid::new(number).unwrap()
}

fn value(number: u64, version: u32) -> [String; 2] {
    [format!("{number}.{version}@example.com"), format!("+1201555{number:04}{version}")]
}

fn send(state: &Arc<State>, number: u64, version: u32, accepted: bool) {
    let values = value(number, version);
    let row = state.looker().look().to_send(euid(number)).unwrap();
    state.mark([row]);
    let contacts = NAMES.iter().copied().zip(values.iter().map(String::as_str));
    state.ended(
        euid(number),
        if accepted { Ended::Accepted(contacts) } else { Ended::Failed },
        1_700_000_000_000 + number,
        false,
    );
}

fn is_unchanged(state: &Arc<State>, number: u64, version: u32) -> bool {
    let values = value(number, version);
    let contacts = NAMES.iter().copied().zip(values.iter().map(String::as_str));
    state.looker().look().is_unchanged(euid(number), contacts).unwrap()
}

const LAST: u64 = 120;

/// A state of which a part lies in the base and a part in the log: EUIDs that are multiples of three are known as of version
/// 1, those of five too as of 2, those of seven are unknown.
fn make(path: &Path) {
    let state = Arc::new(State::open(path).unwrap());
    state.set_meta(|meta| meta.target = Some("sandbox".to_owned())).unwrap();
    for number in (3..=LAST).step_by(3) {
        send(&state, number, 1, true);
    }
    state.compact().unwrap();
    for number in (5..=LAST).step_by(5) {
        send(&state, number, 2, true);
        if number.is_multiple_of(4) {
            state.commit().unwrap();
        }
    }
    for number in (7..=LAST).step_by(7) {
        send(&state, number, 3, false);
    }
    state.commit().unwrap();
}

fn expected(number: u64) -> Option<u32> {
    match number {
        _ if number.is_multiple_of(7) => None,
        _ if number.is_multiple_of(5) => Some(2),
        _ => number.is_multiple_of(3).then_some(1),
    }
}

/// Whether it could be used. Whatever it then says must be so; with `whole` it knows everything.
fn holds(path: &Path, whole: bool, what: &str) -> bool {
    let state = match State::open_existing(path) {
        Ok(state) => Arc::new(state),
        Err(StateError::Foreign { .. } | StateError::Damaged { .. }) => return false,
        Err(error) => panic!("{what}: {error}"),
    };
    for number in 1..=LAST {
        for version in 1..=3 {
            let is_so = expected(number) == Some(version);
            let said = is_unchanged(&state, number, version);
            assert!(!said || is_so, "{what}: {number} is said to be unchanged as of version {version}");
            assert!(said || !is_so || !whole, "{what}: {number} isn't known");
        }
    }
    true
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, cut) = (folder.path().join("state"), folder.path().join("cut"));
    make(&path);
    assert!(holds(&path, true, "the whole"));
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 16_000);
    for length in (0..bytes.len()).rev() {
        fs::write(&cut, &bytes[..length]).unwrap();
        assert!(!holds(&cut, true, &format!("cut at {length}")), "cut at {length} of {}", bytes.len());
    }
}

#[test]
fn a_file_in_which_a_byte_changed_is_refused_or_right() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("state"), folder.path().join("other"));
    make(&path);
    let bytes = fs::read(&path).unwrap();
    let mut refused = 0;
    // Pages are mostly empty: of what is all zeros some bytes are enough.
    let is_empty = |at: usize| !at.is_multiple_of(64) && bytes[at..].iter().take(16).all(|byte| *byte == 0);
    let places: Vec<usize> = (0..bytes.len()).filter(|at| !is_empty(*at)).collect();
    assert!(places.len() > 4_000);
    for at in &places {
        let mut flipped = bytes.clone();
        flipped[*at] ^= 1 << (at % 8);
        fs::write(&other, &flipped).unwrap();
        refused += usize::from(!holds(&other, true, &format!("byte {at}")));
    }
    assert!(refused * 10 > places.len() * 9, "{refused} of {}", places.len());
}

#[test]
fn a_file_with_a_page_of_something_else_is_refused_or_right() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("state"), folder.path().join("other"));
    make(&path);
    let bytes = fs::read(&path).unwrap();
    for size in [512, 4_096] {
        for start in (0..bytes.len()).step_by(size) {
            let end = bytes.len().min(start + size);
            let elsewhere = if start == 0 { 4 * size } else { 0 };
            let page = bytes[elsewhere..].iter().copied().chain(std::iter::repeat(0));
            for (what, page) in [
                ("zeros", vec![0; end - start]),
                ("another page", page.take(end - start).collect()),
                ("its opposite", bytes[start..end].iter().map(|byte| !byte).collect()),
            ] {
                let mut damaged = bytes.clone();
                damaged[start..end].copy_from_slice(&page);
                fs::write(&other, &damaged).unwrap();
                holds(&other, true, &format!("{what} at {start}"));
            }
        }
    }
}

/// What stood behind the last frame that was synced is what a kill leaves.
#[test]
fn what_a_kill_tore_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (path, torn) = (folder.path().join("state"), folder.path().join("torn"));
    make(&path);
    let before = fs::read(&path).unwrap();
    let state = Arc::new(State::open_existing(&path).unwrap());
    send(&state, 3, 3, true);
    state.commit().unwrap();
    drop(state);
    let after = fs::read(&path).unwrap();
    assert!(after.len() > before.len());
    for length in before.len()..after.len() {
        let mut bytes = before.clone();
        bytes.extend_from_slice(&after[before.len()..length]);
        fs::write(&torn, &bytes).unwrap();
        assert!(holds(&torn, true, &format!("torn at {length}")));
        assert_eq!(fs::metadata(&torn).unwrap().len(), before.len() as u64);
    }
}

#[test]
fn what_is_something_else_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contacts.csv");
    for text in ["", "euid,email\n1,a@example.com\n", &"x".repeat(50_000)] {
        fs::write(&path, text).unwrap();
        assert!(matches!(State::open(&path), Err(StateError::Foreign { .. })), "{} bytes", text.len());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert!(matches!(State::open(folder.path()), Err(StateError::Foreign { .. })));
    assert!(matches!(State::open_existing(&folder.path().join("none")), Err(StateError::Missing(_))));
    assert!(matches!(State::open(&folder.path().join("none/state")), Err(StateError::Open { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_process_at_a_time_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = State::open(&path).unwrap();
    assert!(matches!(State::open(&path), Err(StateError::Locked(_))));
    state.compact().unwrap();
    assert!(matches!(State::open(&path), Err(StateError::Locked(_))), "also after another file took its place");
    assert_eq!(state.meta(), Meta::default());
    drop(state);
    assert!(State::open(&path).is_ok());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Whoever has a file of a name like ours keeps it.
#[test]
fn no_file_beside_it_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for name in ["s.new", ".s.new", "s.1.new", "contactsync-new"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    make(&path);
    let state = State::open(&path).unwrap();
    state.compact().unwrap();
    state.forget([euid(3)]).unwrap();
    state.forget_all().unwrap();
    for name in ["s.new", ".s.new", "s.1.new", "contactsync-new"] {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), name);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[test]
fn one_that_was_removed_or_replaced_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    make(&path);
    let state = Arc::new(State::open(&path).unwrap());
    send(&state, 3, 9, true);
    fs::remove_file(&path).unwrap();
    assert!(matches!(state.commit(), Err(StateError::Replaced(_))));
    let other = Arc::new(State::open(&path).unwrap());
    send(&other, 3, 2, true);
    other.finish().unwrap();
    for ended in [state.commit(), state.compact(), state.finish().map(drop)] {
        assert!(matches!(ended, Err(StateError::Replaced(_))));
    }
    drop((state, other));
    let state = Arc::new(State::open(&path).unwrap());
    assert!(is_unchanged(&state, 3, 2) && !is_unchanged(&state, 3, 9) && !is_unchanged(&state, 6, 1));
}

/// A new file takes the place of one name only: the other would be an old copy.
#[test]
fn one_of_several_names_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("state"), folder.path().join("other"));
    make(&path);
    fs::hard_link(&path, &other).unwrap();
    assert!(matches!(State::open(&path), Err(StateError::Foreign { .. })));
    fs::remove_file(&path).unwrap();
    assert!(holds(&other, true, "the name that is left"));
}

/// A kill while a state is made leaves a second name of it, or only that.
#[test]
fn what_a_kill_left_while_it_was_made_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let (path, left) = (folder.path().join("state"), folder.path().join(".state.contactsync-new.7"));
    fs::write(&left, "not even whole").unwrap();
    make(&path);
    assert!(!left.exists());
    fs::hard_link(&path, &left).unwrap();
    assert!(holds(&path, true, "with the name that was left"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
