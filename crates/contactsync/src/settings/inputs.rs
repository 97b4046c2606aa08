use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{IdentityKind, limits::KNOWN_CONTACTS, shown_name};
use reader::{Escapes, Format, Header, InputName, Quotes, ReaderOptions, RowKey, Selection};
use validator::{EmptyValues, IdRules, Rules, stands_for_nothing};

use super::{STANDARD_STREAM, files_from, rows::RowChoice, shard::StateShard};
use crate::{
    args::{EmptyChoice, EscapeChoice, FormatChoice, IdentityArgs, InputArgs, QuoteChoice, RuleArgs},
    failure::Failure,
};

/// What is read, how, and what is let through.
#[derive(Debug, Clone)]
pub(crate) struct InputSettings {
    /// The inputs as given, those of the list behind the others.
    pub(crate) names: Vec<InputName>,
    /// That list, where there is one.
    pub(crate) files_from: Option<InputName>,
    /// For the reader.
    pub(crate) reader: ReaderOptions,
    /// For the validator.
    pub(crate) rules: Rules,
    /// Which rows of all the input are taken.
    pub(crate) rows: RowChoice,
    /// Copy what can be read only once into a file first.
    pub(crate) spool: bool,
    /// The folder of that file, where one is named.
    pub(crate) temp_dir: Option<PathBuf>,
    /// The option because of which inputs are read twice, if any.
    pub(crate) read_twice_for: Option<&'static str>,
}

impl InputSettings {
    /// What the arguments say; `digest`: a checksum of what was read is wanted.
    pub(crate) fn of(inputs: &InputArgs, rules: &RuleArgs, digest: bool) -> Result<Self, Failure> {
        refuse_double_mapping(inputs)?;
        let (key, key_column) = key(inputs);
        let ids = id_rules(&inputs.identity, &key_column, &inputs.null, &inputs.contacts)?;
        let reader = ReaderOptions {
            format: match inputs.format {
                None | Some(FormatChoice::Auto) => None,
                Some(FormatChoice::Csv) => Some(Format::Csv),
                Some(FormatChoice::Tsv) => Some(Format::Tsv),
                Some(FormatChoice::Ndjson) => Some(Format::Ndjson),
                Some(FormatChoice::Json) => Some(Format::Json),
            },
            delimiter: inputs.delimiter,
            escapes: inputs.escape.map(|choice| match choice {
                EscapeChoice::None => Escapes::None,
                EscapeChoice::Backslash => Escapes::Backslash,
            }),
            quotes: inputs.quote.map(|choice| match choice {
                QuoteChoice::None => Quotes::None,
                QuoteChoice::Double => Quotes::Double,
            }),
            header: if inputs.no_header { Header::Absent { columns: inputs.columns.clone() } } else { Header::Present },
            encoding: inputs.encoding,
            key,
            key_column,
            map: inputs.map.iter().map(|mapping| (mapping.column.clone(), mapping.name.clone())).collect(),
            selection: match (inputs.all_columns, inputs.contacts.as_slice()) {
                (true, _) => Selection::All,
                (false, []) => Selection::Known,
                (false, names) => Selection::Exactly(names.to_vec()),
            },
            flexible: rules.flexible,
            digest,
            marks: Arc::default(),
        };
        refuse_euid_as_contact(&reader)?;
        let rules = Rules {
            max_value_chars: rules.max_value_chars.unwrap_or(model::limits::MAX_VALUE_CHARS),
            empty: match rules.empty.unwrap_or(EmptyChoice::Skip) {
                EmptyChoice::Skip => EmptyValues::Skip,
                EmptyChoice::Reject => EmptyValues::Reject,
                EmptyChoice::Clear => EmptyValues::Clear,
            },
            trim: inputs.trim,
            nulls: inputs.null.clone(),
            are_nulls_told: reader.escapes == Some(Escapes::Backslash),
            ids,
        };
        let rows = RowChoice::range(inputs.skip.unwrap_or(0), inputs.limit).of_shard(inputs.shard, &rules);
        Ok(Self {
            names: names(inputs)?,
            files_from: inputs.files_from.as_ref().map(InputName::new),
            reader,
            rules,
            rows,
            spool: inputs.spool.spool,
            temp_dir: inputs.spool.temp_dir.clone(),
            read_twice_for: None,
        })
    }
}

impl InputSettings {
    /// The kind of ids of the organisation's own by which rows are keyed; none: by EUIDs.
    pub(crate) fn identity(&self) -> Option<IdentityKind> {
        match self.reader.key {
            RowKey::Euid => None,
            RowKey::Id(kind) => Some(kind),
        }
    }

    /// Whose rows are taken, where not everybody's.
    pub(crate) fn state_shard(&self) -> Option<StateShard> {
        self.rows.shard().map(|shard| StateShard { shard, identity: self.identity() })
    }

    /// The options that decide which rows are sent and with what, as far as they are not the default: a resume must have
    /// the same.
    pub(crate) fn deciding(&self) -> BTreeMap<String, String> {
        let Self { reader, rules, rows, names: _, files_from: _, spool: _, temp_dir: _, read_twice_for: _ } = self;
        let mut all = BTreeMap::new();
        let mut set = |name: &str, value: Option<String>| {
            all.extend(value.map(|value| (format!("--{name}"), value)));
        };
        let on = |on: bool| on.then(|| "on".to_owned());
        let format = reader.format.map(|format| match format {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Ndjson => "ndjson",
            Format::Json => "json",
        });
        set("format", format.map(str::to_owned));
        set("delimiter", reader.delimiter.map(|byte| char::from(byte).escape_default().to_string()));
        set("escape", (reader.escapes == Some(Escapes::Backslash)).then(|| "backslash".to_owned()));
        let quotes = match reader.quotes() {
            Quotes::None => "none",
            Quotes::Double => "double",
        };
        let is_usual = reader.quotes() == ReaderOptions { quotes: None, ..reader.clone() }.quotes();
        set("quote", (!is_usual).then(|| quotes.to_owned()));
        if let Header::Absent { columns } = &reader.header {
            set("columns", texts(columns));
        }
        set("encoding", reader.encoding.map(|encoding| encoding.name().to_ascii_lowercase()));
        let column = (reader.key_column != reader.key.usual_column()).then(|| texts([reader.key_column.as_str()]));
        match reader.key {
            RowKey::Euid => set("euid-column", column.flatten()),
            RowKey::Id(kind) => {
                set("identify-by", Some(kind.to_string()));
                set("id-column", column.flatten());
            }
        }
        set("allow-id", rules.ids.as_ref().and_then(|ids| texts(&ids.allowed)));
        // A name has no equals sign, so this can be read in one way only.
        set("map", texts(reader.map.iter().map(|(column, name)| format!("{column}={name}"))));
        match &reader.selection {
            Selection::Known => {}
            Selection::All => set("all-columns", on(true)),
            Selection::Exactly(names) => set("contacts", texts(names)),
        }
        set("flexible", on(reader.flexible));
        set("trim", on(rules.trim));
        set("null", texts(&rules.nulls));
        let empty = match rules.empty {
            EmptyValues::Skip => None,
            EmptyValues::Reject => Some("reject"),
            EmptyValues::Clear => Some("clear"),
        };
        set("empty", empty.map(str::to_owned));
        let most = rules.max_value_chars;
        set("max-value-chars", (most != model::limits::MAX_VALUE_CHARS).then(|| most.to_string()));
        set("skip", (rows.skip() > 0).then(|| rows.skip().to_string()));
        set("limit", rows.limit().map(|rows| rows.to_string()));
        set("shard", rows.shard().map(|shard| shard.to_string()));
        all
    }
}

/// The inputs in order.
fn names(inputs: &InputArgs) -> Result<Vec<InputName>, Failure> {
    let mut names: Vec<InputName> = inputs.inputs.iter().map(InputName::new).collect();
    if let Some(list) = &inputs.files_from {
        if list == Path::new(STANDARD_STREAM) {
            files_from::refuse_stdin_twice(&names)?;
        }
        names.extend(match &inputs.listed {
            Some(listed) => listed.clone()?,
            None => files_from::names_in(list)?,
        });
    }
    Ok(names)
}

/// What rows are keyed by, and its column.
fn key(inputs: &InputArgs) -> (RowKey, String) {
    let identity = &inputs.identity;
    let (key, named) = match identity.identify_by {
        None => (RowKey::Euid, &inputs.euid_column),
        Some(kind) => (RowKey::Id(kind.into()), &identity.id_column),
    };
    (key, named.clone().unwrap_or_else(|| key.usual_column().to_owned()))
}

/// The contact that EngageLab documents under this name, however it is written.
fn known_contact(column: &str) -> Option<String> {
    KNOWN_CONTACTS.into_iter().find(|known| known.eq_ignore_ascii_case(column)).map(str::to_owned)
}

/// An EUID beside an id is no contact, whoever asks for it.
fn refuse_euid_as_contact(reader: &ReaderOptions) -> Result<(), Failure> {
    let (RowKey::Id(_), Selection::Exactly(names)) = (reader.key, &reader.selection) else { return Ok(()) };
    let is_euid = |name: &str| name.trim().eq_ignore_ascii_case(RowKey::Euid.usual_column());
    let euid = names.iter().find(|name| is_euid(name) && !is_euid(&reader.key_column));
    euid.map_or(Ok(()), |euid| {
        let message = format!("`--contacts` names {}, which is no contact", shown_name(euid));
        Err(Failure::usage(message).with_hint("leave it out: rows are keyed by ids".to_owned()))
    })
}

/// How ids are looked at, where rows are keyed by them.
fn id_rules(
    args: &IdentityArgs,
    column: &str,
    nulls: &[String],
    contacts: &[String],
) -> Result<Option<IdRules>, Failure> {
    if args.identify_by.is_none() {
        return Ok(None);
    }
    if let Some(contact) = known_contact(column).or_else(|| contacts.iter().find(|name| *name == column).cloned()) {
        let message = format!("the column {} can't hold the ids and be a contact too", shown_name(&contact));
        let hint = format!(
            "to send it, give the ids a column of their own; to take it as ids only: `--map '{column}=id' --id-column id`"
        );
        return Err(Failure::usage(message).with_hint(hint));
    }
    let allowed: Vec<String> = args.allow_id.iter().map(|text| text.trim().to_owned()).collect();
    let is_refused = |text: &String| stands_for_nothing(text) || nulls.iter().any(|null| null.trim() == *text);
    if let Some(text) = allowed.iter().find(|text| text.is_empty() || !is_refused(text)) {
        let message = format!(
            "`--allow-id` names {}, which counts as an id without it, or never does: it allows texts like None, or what `--null` names",
            shown_name(text)
        );
        let hint = r"it allows NULL, \N, NaN, None, nil and N/A, in any case, and what `--null` names";
        return Err(Failure::usage(message).with_hint(hint.to_owned()));
    }
    Ok(Some(IdRules { column: column.to_owned(), allowed }))
}

/// One column can have one new name.
fn refuse_double_mapping(inputs: &InputArgs) -> Result<(), Failure> {
    for (index, mapping) in inputs.map.iter().enumerate() {
        let earlier = inputs.map[..index].iter().find(|earlier| earlier.column.trim() == mapping.column.trim());
        if let Some(earlier) = earlier
            && earlier.name.trim() != mapping.name.trim()
        {
            let [column, first, second] = [&mapping.column, &earlier.name, &mapping.name].map(|text| shown_name(text));
            return Err(Failure::usage(format!("`--map` renames the column {column} to {first} and to {second}")));
        }
    }
    Ok(())
}

/// Texts of the user's as one, so that different ones never look the same: a single plain one as it stands, others as a
/// JSON array. None where there are none.
fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Option<String> {
    let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
    let is_plain = |text: &str| !text.is_empty() && !text.starts_with('[') && !text.contains([',', '"', '\\']);
    match texts.as_slice() {
        [] => None,
        [text] if is_plain(text) => Some(text.clone()),
        texts => Some(serde_json::Value::from(texts).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn settings(arguments: &[&str]) -> Result<InputSettings, Failure> {
        let cli = Cli::try_parse_from(["contactsync", "check", "a.csv"].iter().chain(arguments)).expect("arguments");
        let Command::Check(args) = cli.command else { panic!("a check") };
        InputSettings::of(&args.inputs, &args.rules, false)
    }

    /// Different options never look the same to a resume.
    #[test]
    fn what_a_resume_compares_is_unambiguous() {
        let cases: &[&[&str]] = &[
            &[],
            &["--null", "a,b"],
            &["--null", "a", "--null", "b"],
            &["--null", "a"],
            &["--null", "[\"a\",\"b\"]"],
            &["--null", "a\\,b"],
            &["--null", "a", "--null", "b,c"],
            &["--null", "a,b", "--null", "c"],
            &["--null", ""],
            &["--null", "", "--null", ""],
            &["--map", "a=b,c=d"],
            &["--map", "a=b", "--map", "c=d"],
            &["--map", "a=b"],
            &["--contacts", "a,b"],
            &["--contacts", "a"],
            &["--contacts", "[\"a\""],
            &["--no-header", "--columns", "a,b"],
            &["--no-header", "--columns", "a"],
            &["--euid-column", "[\"a\"]"],
            &["--euid-column", "a"],
            &["--euid-column", ""],
            &["--shard", "0/4"],
            &["--shard", "1/4"],
            &["--shard", "0/1"],
            &["--shard", "0/4", "--limit", "4"],
            &["--delimiter", "tab"],
            &["--delimiter", ";"],
            &["--delimiter", "^A"],
            &["--escape", "backslash"],
            &["--escape", "backslash", "--quote", "double"],
            &["--quote", "none"],
            &["--identify-by", "user_id"],
            &["--identify-by", "anonymous_id"],
            &["--identify-by", "user_id", "--id-column", "a"],
            &["--identify-by", "user_id", "--id-column", "euid"],
            &["--identify-by", "user_id", "--allow-id", "None"],
            &["--identify-by", "user_id", "--allow-id", "none"],
            &["--identify-by", "user_id", "--allow-id", "None", "--allow-id", "none"],
        ];
        let all: Vec<_> = cases.iter().map(|case| settings(case).expect("settings").deciding()).collect();
        for (index, deciding) in all.iter().enumerate() {
            let same = all[..index].iter().position(|other| other == deciding);
            assert_eq!(same.map(|other| cases[other]), None, "{:?} looks the same", cases[index]);
            assert!(deciding.values().all(|text| !text.is_empty()), "an empty text counts as not given: {deciding:?}");
        }
        assert_eq!(all[3]["--null"], "a", "what earlier versions wrote of one plain text holds");
    }

    #[test]
    fn only_what_would_be_refused_can_be_allowed() {
        let allowed = |allowed: &[&str]| {
            settings(&[&["--identify-by", "user_id", "--null", " - "], allowed].concat())
                .map(|settings| settings.rules.ids.map(|ids| ids.allowed))
        };
        assert_eq!(allowed(&["--allow-id", " n/a", "--allow-id", "-"]).unwrap().unwrap(), ["n/a", "-"]);
        for wrong in ["Nome", "1E5", "", " ", "a\0b"] {
            let failure = allowed(&["--allow-id", wrong]).expect_err(wrong);
            assert!(failure.message.contains("`--allow-id` names"), "{failure:?}");
        }
    }

    #[test]
    fn one_column_has_one_name() {
        let failure = settings(&["--map", "a=b", "--map", "a =c"]).expect_err("twice");
        assert!(failure.message.contains("renames the column \"a\" to \"b\" and to \"c\""), "{failure:?}");
        settings(&["--map", "a=b", "--map", "a=b", "--map", "A=c"]).expect("other columns");
    }
}
