use crate::run_file::Run;

/// The ids that rows are keyed by, as far as the runs say and agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdsOfRows {
    /// Their kind, as `--identify-by` takes it.
    pub kind: Option<String>,
    /// The column in which the inputs held them.
    pub column: Option<String>,
}

impl IdsOfRows {
    /// What these runs say. A replay reads no column: only its kind counts.
    pub(super) fn of(runs: &[Option<Run>]) -> Self {
        let by_ids = || {
            runs.iter().flatten().filter_map(|run| {
                let kind = run.options.get("--identify-by")?;
                Some((run, kind, run.options.get("--id-column").map(|column| first_text(column))))
            })
        };
        let kind = the_one(by_ids().map(|(_, kind, _)| kind.clone()));
        let reading = by_ids().filter(|(run, ..)| run.command != "replay");
        // Where it isn't named it is called as the kind.
        let column = the_one(reading.map(|(_, kind, column)| column.unwrap_or_else(|| kind.clone())));
        Self { kind, column }
    }
}

/// What all are.
fn the_one(mut all: impl Iterator<Item = String>) -> Option<String> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// A name as a run keeps it: one that is awkward stands in an array.
fn first_text(option: &str) -> String {
    let texts = serde_json::from_str::<Vec<String>>(option).ok().and_then(|texts| texts.into_iter().next());
    texts.unwrap_or_else(|| option.to_owned()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_file::Requests;

    #[expect(clippy::unnecessary_wraps, reason = "some reports have no run beside them")]
    fn run(command: &str, options: &[(&str, &str)]) -> Option<Run> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Some(Run {
            command: command.to_owned(),
            target: "sandbox".to_owned(),
            api_key: None,
            options: options.collect(),
            begun: None,
            inputs: Vec::new(),
            comparison: None,
            requests: Requests::default(),
            finished: None,
        })
    }

    #[test]
    fn what_the_runs_agree_on_counts() {
        let by = ("--identify-by", "user_id");
        let named = || run("push", &[by, ("--id-column", "crm_id")]);
        let of = |runs: &[Option<Run>]| {
            let IdsOfRows { kind, column } = IdsOfRows::of(runs);
            (kind.unwrap_or_default(), column.unwrap_or_default())
        };
        let expected = |kind: &str, column: &str| (kind.to_owned(), column.to_owned());
        assert_eq!(of(&[run("push", &[by])]), expected("user_id", "user_id"));
        assert_eq!(of(&[named(), run("replay", &[by]), run("push", &[]), None]), expected("user_id", "crm_id"));
        assert_eq!(of(&[named(), run("push", &[by])]), expected("user_id", ""));
        assert_eq!(of(&[named(), run("replay", &[("--identify-by", "anonymous_id")])]), expected("", "crm_id"));
        assert_eq!(of(&[run("push", &[by, ("--id-column", r#"["a,b "]"#)])]), expected("user_id", "a,b"));
        assert_eq!(of(&[None]), expected("", ""));
    }
}
