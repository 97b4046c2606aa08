//! A real MariaDB, or MySQL.

use std::process::Stdio;

use rustix::process::Signal;

use super::{
    Kitchen, all_arrived, are_installed, insert, recipe,
    server::{Server, User},
};
use crate::support::skipped;

/// One with a table of contacts, and a kitchen that knows the way there.
fn mariadb() -> Option<(Server, Kitchen)> {
    let Some(user) = User::named("mysql") else {
        skipped("mariadb-server isn't installed");
        return None;
    };
    if !are_installed(&["mysql", "mariadb-install-db"]) {
        return None;
    }
    let find = |name: &str| {
        let path = super::path();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        folders.map(|folder| folder.join(name)).find(|program| program.is_file())
    };
    let (Some(install), Some(serve)) = (find("mariadb-install-db"), find("mariadbd")) else {
        skipped("mariadbd isn't installed");
        return None;
    };
    let folder = user.folder();
    let (data, socket) = (folder.path().join("data"), folder.path().join("socket"));
    let at = |option: &str, path: &std::path::Path| format!("--{option}={}", path.display());
    // A server that starts takes away the temporary tables of others beside its own.
    let command_of = |program| {
        let mut command = user.command(program);
        command.env("TMPDIR", folder.path());
        command
    };
    let mut command = command_of(&install);
    command.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        &at("datadir", &data),
    ]);
    let installed = command.stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(folder.path()).output().unwrap();
    assert!(installed.status.success(), "no database was made: {installed:?}");
    let mut command = command_of(&serve);
    command.args([
        "--no-defaults",
        "--skip-networking",
        "--innodb-flush-log-at-trx-commit=0",
        "--character-set-server=utf8mb4",
    ]);
    command.args([at("datadir", &data), at("socket", &socket), at("pid-file", &folder.path().join("pid"))]);
    let (server, _) = Server::start(command, "ready for connections", Signal::KILL, folder);
    let kitchen = Kitchen::new().variable("EXPORTS", &server.folder().display().to_string());
    let client = format!("[client]\nsocket={}\nuser=root\ndefault-character-set=utf8mb4\n", socket.display());
    kitchen.place.file("home/.my.cnf", client);
    let make = "create database shop; use shop;\
        create table contacts (euid bigint primary key, email text, mobile_phone text, nick text);";
    let insert = insert(|text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")));
    kitchen.place.file("make.sql", format!("{make}\n{insert}"));
    kitchen.run("mysql < make.sql").ends_with(0);
    Some((server, kitchen))
}

#[test]
fn batch() {
    let Some((_server, kitchen)) = mariadb() else { return };
    kitchen.run(&recipe("mysql-batch")).ends_with(0);
    all_arrived(&kitchen);
    let plain = "contactsync check contacts.tsv --all-columns";
    kitchen.run(plain).says("contacts.tsv: line 4 has backslashes as a database's dump has them");
}

#[test]
fn outfile() {
    let Some((_server, kitchen)) = mariadb() else { return };
    kitchen.run(&recipe("mysql-outfile")).ends_with(0);
    all_arrived(&kitchen);
    // The next night: the server overwrites nothing.
    kitchen.run(&recipe("mysql-outfile")).ends_with(0);
}

#[test]
fn outfile_in_quotes() {
    let Some((_server, kitchen)) = mariadb() else { return };
    kitchen.run(&recipe("mysql-outfile-quoted")).ends_with(0);
    all_arrived(&kitchen);
    // The next night: the server overwrites nothing.
    kitchen.run(&recipe("mysql-outfile-quoted")).ends_with(0);
    let plain =
        "contactsync check \"$EXPORTS/contacts.csv\" --no-header --columns euid,email,mobile_phone,nick --null '\\N'";
    kitchen
        .run(&format!("{plain} --contacts email,nick,mobile_phone"))
        .says("has backslashes as a database's dump has them");
}
