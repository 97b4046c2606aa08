use std::{collections::BTreeSet, ffi::OsString};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use super::{
    environment::Environment,
    keys::{is_flag_only, options},
    needs::unmet,
    source::{Setting, Source},
};
use crate::failure::Failure;

/// One layer below the command line.
pub(crate) enum Layer<'a> {
    /// The environment.
    Environment(&'a Environment),
    /// A section of a file.
    Section(Source, &'a Table),
}

/// What the layers add to a command line.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// Further arguments.
    pub(crate) arguments: Vec<OsString>,
    /// What was set and where, the command line's own included.
    pub(crate) settings: Vec<Setting>,
    /// What was set below the command line, and means nothing beside what else is set.
    pub(crate) left_out: Vec<Setting>,
}

/// Goes through the layers from the highest down and takes each option from the first that sets it. An option that
/// can't stand beside one set further up is left out: flags beat the environment also where they contradict it. So is one
/// that needs another, where nobody set that one.
pub(crate) fn merge(command: &Command, typed: &ArgMatches, layers: &[Layer<'_>]) -> Result<Merged, Failure> {
    let mut left_out: Vec<Setting> = Vec::new();
    loop {
        let mut merged = merge_without(&left_out, command, typed, layers)?;
        let Some(key) = unmet(command, &merged.settings) else { return Ok(Merged { left_out, ..merged }) };
        left_out.extend(merged.settings.extract_if(.., |setting| setting.key == key));
    }
}

fn merge_without(
    left_out: &[Setting],
    command: &Command,
    typed: &ArgMatches,
    layers: &[Layer<'_>],
) -> Result<Merged, Failure> {
    let mut merged = Merged::default();
    let mut decided: BTreeSet<&str> = BTreeSet::new();
    let mut effective: Vec<&Arg> = Vec::new();
    for arg in options(command) {
        if typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
            decided.insert(arg.get_id().as_str());
            effective.push(arg);
            merged.settings.push(Setting { key: arg.get_id().to_string(), value: None, source: Source::Flag });
        }
    }
    for layer in layers {
        let above = effective.clone();
        for arg in options(command).filter(|arg| !is_flag_only(arg)) {
            let key = arg.get_id().as_str();
            if decided.contains(key)
                || left_out.iter().any(|setting| setting.key == key)
                || needs_absent_sandbox(command, arg, &above)
                || belongs_to_a_push(command, arg, &above)
            {
                continue;
            }
            let Some((values, source)) = layer.values(arg)? else { continue };
            decided.insert(key);
            if values.is_empty() || above.iter().any(|other| exclude_each_other(command, arg, other)) {
                continue;
            }
            effective.push(arg);
            merged.settings.push(Setting { key: key.to_owned(), value: shown(arg, &values), source });
            merged.arguments.extend(as_arguments(arg, values));
        }
    }
    Ok(merged)
}

/// The sandbox's options mean something beside `--sandbox` only, which must be typed.
fn needs_absent_sandbox(command: &Command, arg: &Arg, above: &[&Arg]) -> bool {
    let push_has_sandbox = command.get_arguments().any(|other| other.get_id() == "sandbox");
    push_has_sandbox && arg.get_id().as_str().starts_with("sandbox_") && !above.iter().any(|a| a.get_id() == "sandbox")
}

/// A report that is set below the command line is that of the push: a check must not write over it, nor a verify, nor a
/// replay, which may be a replay of it. What means something beside a report only is left out with it.
fn belongs_to_a_push(command: &Command, arg: &Arg, above: &[&Arg]) -> bool {
    let writes_another = matches!(command.get_name(), "check" | "replay" | "verify");
    let needs_report = matches!(arg.get_id().as_str(), "report" | "resume" | "accept_new_key");
    // And what watches the push is not to take another run for it.
    let is_metrics_file = arg.get_id() == "metrics_file";
    writes_another && is_metrics_file || writes_another && needs_report && !above.iter().any(|a| a.get_id() == "report")
}

fn exclude_each_other(command: &Command, one: &Arg, other: &Arg) -> bool {
    let names =
        |arg: &Arg, other: &Arg| command.get_arg_conflicts_with(arg).iter().any(|a| a.get_id() == other.get_id());
    names(one, other) || names(other, one)
}

fn as_arguments(arg: &Arg, values: Vec<String>) -> Vec<OsString> {
    let long = arg.get_long().unwrap_or_default();
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::Count => values.iter().map(|_| format!("--{long}").into()).collect(),
        _ => values.into_iter().map(|value| format!("--{long}={value}").into()).collect(),
    }
}

fn shown(arg: &Arg, values: &[String]) -> Option<String> {
    match arg.get_id().as_str() {
        "sandbox_api_key" | "sandbox_api_secret" | "notify" => None,
        // What names no place may hold a password all the same.
        "share_rate" if values.iter().any(|value| value.parse::<quota::Place>().is_err()) => None,
        "proxy" | "base_url" | "otlp_endpoint" if values.iter().any(|value| value.contains('@')) => None,
        _ => match arg.get_action() {
            ArgAction::SetTrue => Some("true".to_owned()),
            ArgAction::Count => Some(values.len().to_string()),
            _ => Some(values.join(", ")),
        },
    }
}

impl Layer<'_> {
    /// What the layer sets an option to: one text for each time it would be typed. None: the layer is silent.
    fn values(&self, arg: &Arg) -> Result<Option<(Vec<String>, Source)>, Failure> {
        match self {
            Self::Environment(environment) => from_environment(arg, environment),
            Self::Section(source, table) => {
                let Some(value) = table.get(arg.get_id().as_str()) else { return Ok(None) };
                let wrong = |expected| Failure::usage(format!("`{}` in {source} is not {expected}", arg.get_id()));
                Ok(Some((from_toml(arg, value).map_err(wrong)?, source.clone())))
            }
        }
    }
}

fn from_environment(arg: &Arg, environment: &Environment) -> Result<Option<(Vec<String>, Source)>, Failure> {
    let mut found: Option<(String, String)> = None;
    for name in variables(arg) {
        let Some(text) = environment.text(&name)? else { continue };
        match &found {
            Some((first, value)) if *value != text => {
                return Err(Failure::usage(format!("{first} and {name} are both set, and not to the same")));
            }
            Some(_) => {}
            None => found = Some((name, text)),
        }
    }
    let Some((name, text)) = found else { return Ok(None) };
    let values = match arg.get_action() {
        ArgAction::SetTrue => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => vec![text],
            "0" | "false" | "no" | "off" => Vec::new(),
            _ => return Err(Failure::usage(format!("{name} is neither true nor false"))),
        },
        ArgAction::Count => times(text.trim().parse().ok())
            .ok_or_else(|| Failure::usage(format!("{name} is not a number from 0 to 3")))?,
        ArgAction::Append if arg.get_value_delimiter().is_none() => text.lines().map(str::to_owned).collect(),
        _ => vec![text],
    };
    Ok(Some((values, Source::Environment(name))))
}

/// The variables that set an option; the base URL's own name comes first.
pub(crate) fn variables(arg: &Arg) -> Vec<String> {
    let own = format!("CONTACTSYNC_{}", arg.get_id().as_str().to_ascii_uppercase());
    match arg.get_id().as_str() {
        "base_url" => vec!["ENGAGELAB_MA_BASE_URL".to_owned(), own],
        _ => vec![own],
    }
}

fn from_toml(arg: &Arg, value: &Value) -> Result<Vec<String>, &'static str> {
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(true)) => Ok(vec!["true".to_owned()]),
        (ArgAction::SetTrue, Value::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err("true or false"),
        (ArgAction::Count, Value::Integer(count)) => times(Some(*count)).ok_or("a number from 0 to 3"),
        (ArgAction::Count, _) => Err("a number from 0 to 3"),
        (ArgAction::Append, Value::Array(values)) => values
            .iter()
            .map(|value| match (scalar(value), arg.get_value_delimiter()) {
                (Some(text), Some(delimiter)) if text.contains(delimiter) => Err("a list of names without commas"),
                (Some(text), _) => Ok(text),
                (None, _) => Err("a list of texts"),
            })
            .collect(),
        (ArgAction::Append, Value::Table(pairs)) if arg.get_id() == "map" => pairs
            .iter()
            .map(|(column, name)| Ok(format!("{column}={}", name.as_str().ok_or("a table of texts")?)))
            .collect(),
        (ArgAction::Append, value) => scalar(value).map(|text| vec![text]).ok_or("a list of texts"),
        (_, value) => scalar(value).map(|text| vec![text]).ok_or("a single value"),
    }
}

fn times(count: Option<i64>) -> Option<Vec<String>> {
    let count = usize::try_from(count?).ok().filter(|count| *count <= 3)?;
    Some(vec![String::new(); count])
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
