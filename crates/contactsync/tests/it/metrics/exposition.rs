//! Reads the text format of Prometheus, version 0.0.4, and takes nothing that isn't exactly right.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{finish, skipped};

/// What a metrics file says.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Help and type of each family, by its name.
    pub(crate) families: BTreeMap<String, (String, String)>,
    /// Values by series.
    pub(crate) samples: BTreeMap<Series, f64>,
}

/// A name and labels.
pub(crate) type Series = (String, BTreeMap<String, String>);

impl Exposition {
    /// Fails the test where the text isn't right.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n') && !text.contains("\n\n") && !text.contains('\r'), "{text}");
        let mut all = Self::default();
        let (mut help, mut family) = (None::<(String, String)>, None::<(String, String)>);
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').unwrap();
                assert!(is_name(name) && !text.is_empty(), "{line}");
                assert!(help.is_none(), "no type before {line}");
                help = Some((name.to_owned(), text.to_owned()));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let (of, help) = help.take().unwrap();
                assert_eq!(of, name, "the help before {line}");
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                let before = all.families.insert(name.to_owned(), (help, kind.to_owned()));
                assert!(before.is_none(), "twice: {line}");
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                assert!(!line.starts_with('#') && help.is_none(), "{line}");
                let (name, labels, value) = sample(line);
                let (family, kind) = family.as_ref().unwrap();
                let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(suffixes.iter().any(|suffix| format!("{family}{suffix}") == name), "{line} in {family}");
                assert!(all.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        assert!(help.is_none());
        all.check_histograms();
        all
    }

    fn check_histograms(&self) {
        for (name, _) in self.families.iter().filter(|(_, (_, kind))| kind == "histogram") {
            let mut buckets: Vec<(f64, f64)> = Vec::new();
            for ((series, labels), value) in &self.samples {
                if *series == format!("{name}_bucket") {
                    buckets.push((float(&labels["le"]), *value));
                }
            }
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{buckets:?}");
            assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, self.value(&format!("{name}_count"), &[])));
        }
    }

    /// The value of a series that has these labels and `sync`, and no others but `le`.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.samples))
    }

    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let is_it = |(series, has): &Series| {
            let has: BTreeMap<&str, &str> =
                has.iter().filter(|(name, _)| *name != "sync").map(|(name, value)| (&**name, &**value)).collect();
            series == name && has == wanted
        };
        self.samples.iter().find(|(series, _)| is_it(series)).map(|(_, value)| *value)
    }

    /// The sum of the series of this name that have these labels among others.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |(series, has): &Series| {
            series == name && labels.iter().all(|(label, value)| has.get(*label).is_some_and(|it| it == value))
        };
        self.samples.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
    }

    /// The values that a label has in the series of this name.
    pub(crate) fn label(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let of_it = self.samples.keys().filter(|(series, _)| series == name);
        of_it.filter_map(|(_, labels)| labels.get(label).map(String::as_str)).collect()
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with("contactsync_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn float(text: &str) -> f64 {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    assert!(is_number || text == "+Inf", "{text}");
    text.parse().unwrap()
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (name, mut rest) = line.split_once('{').unwrap();
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    loop {
        let (label, behind) = rest.split_once("=\"").unwrap();
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        let (value, behind) = quoted(behind);
        assert!(labels.insert(label.to_owned(), value).is_none(), "twice: {label} in {line}");
        let Some(further) = behind.strip_prefix(',') else {
            rest = behind.strip_prefix("} ").unwrap();
            break;
        };
        rest = further;
    }
    assert!(labels.contains_key("sync"), "{line}");
    (name.to_owned(), labels, float(rest))
}

/// A value up to its quotation mark, and what stands behind.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next().unwrap() {
            (at, '"') => return (value, &text[at + 1..]),
            (_, '\\') => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                plain @ ('\\' | '"') => plain,
                other => panic!("\\{other} in {text}"),
            }),
            (_, plain) => value.push(plain),
        }
    }
}

/// What Prometheus itself says of the text; says so where it isn't installed.
#[track_caller]
pub(crate) fn check_by_promtool(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        skipped("promtool isn't installed");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ran = finish(child);
    assert!(ran.status == Some(0) && ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran}\n{text}");
}
