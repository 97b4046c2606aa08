use std::collections::BTreeMap;

use reader::{Format, Header, ReaderOptions, Selection};
use validator::{EmptyValues, Rules};

use crate::args::{EmptyChoice, FormatChoice, InputArgs, RuleArgs};

/// What is read, how, and what is let through.
#[derive(Debug, Clone)]
pub(crate) struct InputSettings {
    /// The inputs as given.
    pub(crate) names: Vec<String>,
    /// For the reader.
    pub(crate) reader: ReaderOptions,
    /// For the validator.
    pub(crate) rules: Rules,
    /// Which rows of all the input are taken.
    pub(crate) rows: RowRange,
}

impl InputSettings {
    /// What the arguments say; `digest`: a checksum of what was read is wanted.
    pub(crate) fn of(inputs: &InputArgs, rules: &RuleArgs, digest: bool) -> Self {
        let reader = ReaderOptions {
            format: match inputs.format {
                None | Some(FormatChoice::Auto) => None,
                Some(FormatChoice::Csv) => Some(Format::Csv),
                Some(FormatChoice::Tsv) => Some(Format::Tsv),
                Some(FormatChoice::Ndjson) => Some(Format::Ndjson),
                Some(FormatChoice::Json) => Some(Format::Json),
            },
            delimiter: inputs.delimiter,
            header: if inputs.no_header { Header::Absent { columns: inputs.columns.clone() } } else { Header::Present },
            encoding: inputs.encoding,
            euid_column: inputs.euid_column.clone().unwrap_or_else(|| "euid".to_owned()),
            map: inputs.map.iter().map(|mapping| (mapping.column.clone(), mapping.name.clone())).collect(),
            selection: match (inputs.all_columns, inputs.contacts.as_slice()) {
                (true, _) => Selection::All,
                (false, []) => Selection::Known,
                (false, names) => Selection::Exactly(names.to_vec()),
            },
            flexible: rules.flexible,
            digest,
            marks: BTreeMap::new(),
        };
        let rules = Rules {
            max_value_chars: rules.max_value_chars.unwrap_or(model::limits::MAX_VALUE_CHARS),
            empty: match rules.empty.unwrap_or(EmptyChoice::Skip) {
                EmptyChoice::Skip => EmptyValues::Skip,
                EmptyChoice::Reject => EmptyValues::Reject,
            },
            trim: inputs.trim,
            nulls: inputs.null.clone(),
        };
        let rows = RowRange { skip: inputs.skip.unwrap_or(0), left: inputs.limit };
        Self { names: inputs.inputs.clone(), reader, rules, rows }
    }
}

impl InputSettings {
    /// The options that decide which rows are sent and with what, as far as they are not the default: a resume must have
    /// the same.
    pub(crate) fn deciding(&self) -> BTreeMap<String, String> {
        let Self { reader, rules, rows, names: _ } = self;
        let default = ReaderOptions::default();
        let mut all = BTreeMap::new();
        let mut set = |name: &str, value: Option<String>| {
            all.extend(value.map(|value| (format!("--{name}"), value)));
        };
        let on = |on: bool| on.then(|| "on".to_owned());
        let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(","));
        let format = reader.format.map(|format| match format {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Ndjson => "ndjson",
            Format::Json => "json",
        });
        set("format", format.map(str::to_owned));
        set("delimiter", reader.delimiter.map(|byte| char::from(byte).escape_default().to_string()));
        if let Header::Absent { columns } = &reader.header {
            set("columns", list(columns));
        }
        set("encoding", reader.encoding.map(|encoding| encoding.name().to_ascii_lowercase()));
        set("euid-column", (reader.euid_column != default.euid_column).then(|| reader.euid_column.clone()));
        let mappings: Vec<String> = reader.map.iter().map(|(column, name)| format!("{column}={name}")).collect();
        set("map", list(&mappings));
        match &reader.selection {
            Selection::Known => {}
            Selection::All => set("all-columns", on(true)),
            Selection::Exactly(names) => set("contacts", list(names)),
        }
        set("flexible", on(reader.flexible));
        set("trim", on(rules.trim));
        set("null", list(&rules.nulls));
        set("empty", (rules.empty == EmptyValues::Reject).then(|| "reject".to_owned()));
        let most = rules.max_value_chars;
        set("max-value-chars", (most != model::limits::MAX_VALUE_CHARS).then(|| most.to_string()));
        set("skip", (rows.skip > 0).then(|| rows.skip.to_string()));
        set("limit", rows.left.map(|rows| rows.to_string()));
        all
    }
}

/// Which rows of all the input are taken: `--skip` and `--limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowRange {
    skip: u64,
    left: Option<u64>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowTaken {
    /// It lies before the range.
    Skipped,
    /// It is taken.
    Taken,
    /// It lies behind the range, as all that follow do.
    Over,
}

impl RowRange {
    /// Counts the next row.
    pub(crate) fn next_row(&mut self) -> RowTaken {
        if self.skip > 0 {
            self.skip -= 1;
            return RowTaken::Skipped;
        }
        match &mut self.left {
            None => RowTaken::Taken,
            Some(0) => RowTaken::Over,
            Some(left) => {
                *left -= 1;
                RowTaken::Taken
            }
        }
    }

    /// At most so many rows are taken, as long as none was.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.left
    }

    /// Whether no further row can be taken.
    pub(crate) fn is_over(&self) -> bool {
        self.left == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        RowTaken::{Over, Skipped, Taken},
        *,
    };

    #[test]
    fn rows_are_skipped_then_taken_then_over() {
        let mut rows = RowRange { skip: 2, left: Some(1) };
        let taken: Vec<RowTaken> = (0..5).map(|_| rows.next_row()).collect();
        assert_eq!(taken, [Skipped, Skipped, Taken, Over, Over]);
        assert!(rows.is_over());
        assert!(!RowRange { skip: 0, left: None }.is_over());
    }
}
