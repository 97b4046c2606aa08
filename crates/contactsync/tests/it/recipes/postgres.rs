//! A real PostgreSQL.

use std::path::PathBuf;

use rustix::process::Signal;

use super::{
    Kitchen, all_arrived, are_installed, insert, recipe,
    server::{Server, User},
};
use crate::support::skipped;

/// The newest that is installed, where Debian or others put it.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.map(|version| version.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    folders.extend(std::env::split_paths(&super::path()));
    folders.retain(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    folders.sort();
    folders.into_iter().next_back()
}

/// One with a table of contacts, and a kitchen that knows the way there.
fn postgres() -> Option<(Server, Kitchen)> {
    let (Some(programs), Some(user)) = (programs(), User::named("postgres")) else {
        skipped("postgresql isn't installed");
        return None;
    };
    if !are_installed(&["psql"]) {
        return None;
    }
    let folder = user.folder();
    let data = folder.path().join("data");
    let mut initdb = user.command(&programs.join("initdb"));
    initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"]);
    assert!(initdb.arg(&data).current_dir(folder.path()).status().unwrap().success(), "no database was made");
    let mut command = user.command(&programs.join("postgres"));
    command.args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"]).arg(folder.path()).arg("-D").arg(&data);
    command.current_dir(folder.path());
    let (server, _) = Server::start(command, "ready to accept connections", Signal::QUIT, folder);
    let kitchen =
        Kitchen::new().variable("PGHOST", &server.folder().display().to_string()).variable("PGUSER", "postgres");
    let make = "create table contacts (euid bigint primary key, email text, mobile_phone text, nick text);";
    let insert = insert(|text| format!("'{}'", text.replace('\'', "''")));
    kitchen.place.file("make.sql", format!("{make}\n{insert}"));
    kitchen.run("psql -Xq -v ON_ERROR_STOP=1 -f make.sql").ends_with(0);
    Some((server, kitchen))
}

#[test]
fn csv_by_a_file() {
    let Some((_server, kitchen)) = postgres() else { return };
    kitchen.run(&recipe("postgres")).ends_with(0);
    all_arrived(&kitchen);
}

#[test]
fn text_by_a_file() {
    let Some((_server, kitchen)) = postgres() else { return };
    kitchen.run(&recipe("postgres-text")).ends_with(0);
    all_arrived(&kitchen);
    // Without the option it is told, and wrong.
    let plain = "contactsync check contacts.tsv --all-columns";
    kitchen
        .run(plain)
        .says("contacts.tsv: line 4 has backslashes as a database's dump has them")
        .says("--escape backslash");
    kitchen.run(&format!("{plain} --escape none")).never_says("as a database's dump");
}

#[test]
fn a_null_leaves_alone_and_the_empty_text_clears() {
    let Some((_server, kitchen)) = postgres() else { return };
    kitchen.run("contactsync push <(printf 'euid,nick\\n1,one\\n2,two\\n')").ends_with(2).says("nick");
    kitchen.run("printf 'euid,nick\\n1,one\\n2,two\\n' | contactsync push - --contacts nick").ends_with(0);
    kitchen.run(&recipe("postgres-json")).ends_with(0);
    assert_eq!(kitchen.contact(1, "nick").as_deref(), Some("one"), "null");
    assert_eq!(kitchen.contact(2, "nick").unwrap_or_default(), "", "empty");
    assert_eq!(kitchen.contact(9_223_372_036_854_775_807, "nick").as_deref(), Some("the greatest"));
}

/// The pipe can't tell; the number of rows does, and the file's recipe never comes so far.
#[test]
fn an_export_that_breaks_off() {
    let Some((_server, kitchen)) = postgres() else { return };
    let many = "truncate contacts; insert into contacts select n, 'user' || n || '@example.com' from generate_series(1, 2000) n;";
    kitchen.place.file("many.sql", many);
    kitchen.run("psql -Xq -v ON_ERROR_STOP=1 -f many.sql").ends_with(0);
    kitchen.run(&format!("{} --rate unlimited", recipe("postgres-pipe").trim_end())).ends_with(0);
    assert_eq!(kitchen.requests(), 2_000);
    // A division by zero at the five hundredth row.
    let breaks = |name: &str| {
        // Without an order, so that the rows before it are on their way by then.
        let breaking = "(1 / (500 - euid))::text mobile_phone, nick from contacts";
        recipe(name).replace("mobile_phone, nick from contacts order by euid", breaking)
    };
    let ran = kitchen.run(&breaks("postgres-pipe")).says("division by zero").ends_with(2);
    ran.says("--min-rows");
    let file = kitchen.run(&breaks("postgres"));
    assert!(file.status != Some(0) && !kitchen.place.exists("contacts.csv"), "{file}");
    assert_eq!(kitchen.requests(), 2_000, "nothing was sent");
    // What isn't guarded sends what came, and only the shell says so.
    let bare = breaks("postgres-pipe").replace("--spool --min-rows 90% --state contacts.state", "--rate unlimited");
    let ran = kitchen.run(&bare).says("synced");
    assert_ne!(ran.status, Some(0), "{ran}");
    assert!(kitchen.requests() > 2_000);
}
