//! JSON Schemas (2020-12) of what is written for programs, from the types that are written. Not built into the program: tests
//! and the generator of `docs/schema` alone enable it.

use model::{Outcome, Reason};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use crate::{
    record::Record,
    summary::{CheckSummary, STOPPED_BY, Summary, Verified},
};

/// What JSON knows of a number; `format` says more than that for programs in Rust alone, and strict readers refuse it.
const FORMATS_OF_NUMBERS: [&str; 7] = ["uint8", "uint16", "uint32", "uint64", "int32", "int64", "double"];

/// Of a record of the report.
pub fn report_record() -> Value {
    let mut schema =
        document::<Record<'_>>("report-record", "A record of a report of contactsync: a row that was decided");
    let outcomes_without =
        [Outcome::Unchanged, Outcome::Valid, Outcome::Landed, Outcome::Superseded].map(Outcome::as_str);
    let outcomes_with = [Outcome::Rejected, Outcome::Failed, Outcome::Different].map(Outcome::as_str);
    let when = |outcomes: &[&str], reason: Value| {
        json!({
            "if": { "properties": { "outcome": { "enum": outcomes } } },
            "then": { "properties": { "reason": reason } }
        })
    };
    schema["allOf"] =
        json!([when(&outcomes_without, json!({ "const": "" })), when(&outcomes_with, json!({ "minLength": 1 }))]);
    schema
}

/// Of a summary: of a push or replay, of a verify, of a check, and of a dry run (its own schema). A run ends with one of these
/// statuses.
pub fn summary<DryRun: JsonSchema>(exit_codes: &[u8]) -> Value {
    let mut run = of::<Summary>();
    let mut verify = run.clone();
    let verified = of::<Verified>();
    for (name, property) in verified["properties"].as_object().into_iter().flatten() {
        verify["properties"][name] = property.clone();
    }
    if let (Some(all), Some(further)) = (verify["required"].as_array_mut(), verified["required"].as_array()) {
        all.extend(further.iter().cloned());
    }
    run["description"] = json!("Of a push or a replay.");
    verify["description"] = json!("Of a verify.");
    let mut check = of::<CheckSummary>();
    check["description"] = json!("Of a check.");
    let mut dry_run = of::<DryRun>();
    dry_run["description"] = json!("Of a push with --dry-run.");
    for kind in [&mut run, &mut verify, &mut check, &mut dry_run] {
        kind["properties"]["exit_code"]["enum"] = json!(exit_codes);
    }
    let references = ["run", "verify", "check", "dry_run"].map(|kind| json!({ "$ref": format!("#/$defs/{kind}") }));
    let mut schema = head("summary", "The summary of a run of contactsync");
    schema.insert("oneOf".to_owned(), json!(references));
    schema.insert("$defs".to_owned(), json!({ "run": run, "verify": verify, "check": check, "dry_run": dry_run }));
    Value::Object(schema)
}

/// Of what `report --json` writes.
pub fn overview() -> Value {
    document::<crate::overview::Json<'_>>("report-overview", "What contactsync report --json says of reports")
}

fn document<T: JsonSchema>(name: &str, title: &str) -> Value {
    let mut schema = of::<T>();
    if let Value::Object(schema) = &mut schema {
        schema.append(&mut head(name, title));
    }
    schema
}

/// The number says which promise it is: it changes where what a reader relies on is taken away or becomes something else.
fn head(name: &str, title: &str) -> Map<String, Value> {
    let head = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema".to_owned()),
        ("$id", format!("urn:contactsync:schema:{name}:1")),
        ("title", title.to_owned()),
    ];
    head.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

/// As it is written, with all that it holds in one piece.
fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(schema) = &mut schema {
        // Names and words of types are nothing to whoever reads what is written.
        schema.remove("title");
        schema.remove("description");
    }
    plain_numbers(&mut schema);
    schema
}

fn plain_numbers(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let format = map.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| FORMATS_OF_NUMBERS.contains(&format)) {
                map.remove("format");
            }
            map.values_mut().for_each(plain_numbers);
        }
        Value::Array(list) => list.iter_mut().for_each(plain_numbers),
        _ => {}
    }
}

pub(crate) fn outcome(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Outcome::ALL.map(Outcome::as_str) })
}

pub(crate) fn reason(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = std::iter::once("").chain(reason_words()).collect();
    json_schema!({ "type": "string", "enum": words })
}

pub(crate) fn reasons(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = reason_words().collect();
    json_schema!({
        "type": "object",
        "propertyNames": { "enum": words },
        "additionalProperties": { "type": "integer", "minimum": 1 }
    })
}

pub(crate) fn codes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^-?[0-9]+$" },
        "additionalProperties": { "type": "integer", "minimum": 1 }
    })
}

pub(crate) fn stopped_by(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<Value> = STOPPED_BY.into_iter().map(Value::from).chain([Value::Null]).collect();
    json_schema!({ "type": ["string", "null"], "enum": words })
}

pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "pattern": "Z$" })
}

pub(crate) fn time_or_null(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date-time", "pattern": "Z$" })
}

pub(crate) fn shard(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9]+/[0-9]+$" })
}

fn reason_words() -> impl Iterator<Item = &'static str> {
    Reason::ALL.iter().map(|reason| reason.as_str())
}
