//! Which metrics there are, as a real run writes them.

use std::collections::BTreeSet;

use crate::service::{Service, users};

/// The names of all metrics: of a run that ended, and of one that was stopped.
pub(super) fn names() -> BTreeSet<String> {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("contacts.csv", users(3));
    place.run(&["push", "contacts.csv", "--report=r.ndjson", "--metrics-file=a.prom"]).ends_with(0);
    let stopped = place.variable("ENGAGELAB_MA_API_SECRET", "of-last-year");
    stopped.run(&["push", "contacts.csv", "--report=s.ndjson", "--metrics-file=b.prom"]).ends_with(3);
    let text = stopped.read("a.prom") + &stopped.read("b.prom");
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// The metrics that an expression asks for; a histogram by its name.
pub(super) fn asked(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let metrics = words.filter(|word| word.starts_with("contactsync_") || word.starts_with("node_"));
    metrics.map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned()).collect()
}

/// Fails the test where an expression asks for what nobody writes.
#[track_caller]
pub(super) fn known<'e>(expressions: impl IntoIterator<Item = &'e str>) {
    let mut names = names();
    assert!(names.contains("contactsync_run_stopped") && names.len() >= 15, "{names:?}");
    // Of node_exporter.
    names.insert("node_textfile_mtime_seconds".to_owned());
    for expression in expressions {
        let asked = asked(expression);
        assert!(!asked.is_empty() && asked.is_subset(&names), "{expression}: {asked:?} of {names:?}");
    }
}

#[test]
fn names_are_found_in_expressions() {
    let found = asked("sum by (sync) (rate(contactsync_a_bucket{le=\"1\"}[5m])) / on (x) node_b > 5");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["contactsync_a", "node_b"]);
}
