//! A real duckdb, and Parquet files that it writes.

use super::{Kitchen, NICKS, all_arrived, are_installed, recipe};

fn duckdb() -> Option<Kitchen> {
    if !are_installed(&["duckdb"]) {
        return None;
    }
    let kitchen = Kitchen::new();
    let row = |(euid, nick): &(u64, Option<&str>)| {
        let nick = nick.map_or("null".to_owned(), |nick| format!("'{}'", nick.replace('\'', "''")));
        format!("({euid}::bigint,'user{euid}@example.com',{nick})")
    };
    let rows = NICKS.iter().map(row).collect::<Vec<_>>().join(",");
    let make =
        format!("copy (select * from (values {rows}) t(euid, email, nick)) to 'contacts.parquet' (format parquet);");
    kitchen.place.file("make.sql", make);
    kitchen.run("duckdb -bail < make.sql").ends_with(0);
    Some(kitchen)
}

#[test]
fn by_a_file() {
    let Some(kitchen) = duckdb() else { return };
    kitchen.run(&recipe("duckdb")).ends_with(0);
    all_arrived(&kitchen);
}

#[test]
fn by_a_pipe() {
    let Some(kitchen) = duckdb() else { return };
    kitchen.run(&recipe("duckdb-pipe")).ends_with(0);
    all_arrived(&kitchen);
}

/// The message is a recipe too.
#[test]
fn a_parquet_file_is_refused_with_what_to_do() {
    let Some(kitchen) = duckdb() else { return };
    let refused = kitchen.run("contactsync push contacts.parquet").ends_with(2).says("is a Parquet file");
    let (_, advice) = refused.stderr.split_once("`duckdb").unwrap();
    let (command, _) = advice.split_once('`').unwrap();
    let command =
        command.replace("FILE", "contacts.parquet").replace("contactsync … -", "contactsync check - --all-columns");
    kitchen.run(&format!("duckdb{command}")).ends_with(0).says(&format!("{} rows read", NICKS.len()));
}
