//! docs/schema is what the types say. `cargo xtask docs` writes it anew.

use std::path::Path;

use report::schema;
use serde_json::Value;

use crate::{exit::Exit, plan::PlanSummary};

#[test]
fn the_schemas_are_those_of_the_types() {
    let exit_codes = Exit::ALL.map(Exit::code);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    for (name, expected) in [
        ("report-record.json", schema::report_record()),
        ("summary.json", schema::summary::<PlanSummary>(&exit_codes)),
        ("report-overview.json", schema::overview()),
    ] {
        let path = folder.join(name);
        if std::env::var_os("CONTACTSYNC_WRITE_REFERENCE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, format!("{expected:#}\n")).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let written: Value = serde_json::from_str(&written).unwrap_or_default();
        assert!(written == expected, "docs/schema/{name} is out of date: run `cargo xtask docs`");
    }
}
