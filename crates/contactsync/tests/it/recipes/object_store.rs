//! A real S3 server (moto's), and the commands that read from one.

use std::{path::Path, process::Stdio};

use rustix::process::Signal;

use super::{
    Kitchen, are_installed, recipe,
    server::{Server, User},
};
use crate::service::users;

/// A bucket with contacts of 5,000 users, plain and compressed.
fn store(reader: &str) -> Option<(Server, Kitchen)> {
    if !are_installed(&["moto_server", "rclone", reader]) {
        return None;
    }
    let program =
        std::env::split_paths(&super::path()).map(|folder| folder.join("moto_server")).find(|path| path.is_file());
    let ourselves = User::ourselves();
    let mut command = ourselves.command(Path::new(&program?));
    // It takes a free port, and says which.
    command.args(["--host", "127.0.0.1", "--port", "0"]).stdout(Stdio::null());
    let (server, line) = Server::start(command, "Running on http://127.0.0.1:", Signal::TERM, ourselves.folder());
    let (_, port) = line.trim_end().rsplit_once(':').unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let kitchen = Kitchen::new()
        .variable("RCLONE_CONFIG_STORE_TYPE", "s3")
        .variable("RCLONE_CONFIG_STORE_PROVIDER", "Other")
        .variable("RCLONE_CONFIG_STORE_ENDPOINT", &url)
        .variable("RCLONE_CONFIG_STORE_ACCESS_KEY_ID", "testing")
        .variable("RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY", "testing")
        .variable("AWS_ENDPOINT_URL", &url)
        .variable("AWS_ACCESS_KEY_ID", "testing")
        .variable("AWS_SECRET_ACCESS_KEY", "testing")
        .variable("AWS_DEFAULT_REGION", "us-east-1");
    kitchen.place.file("up/contacts.csv", users(5_000));
    kitchen
        .run("gzip --keep up/contacts.csv && rclone mkdir store:exports && rclone copy up store:exports")
        .ends_with(0);
    Some((server, kitchen))
}

fn fast(name: &str) -> String {
    recipe(name).trim_end().to_owned() + " --rate unlimited"
}

#[test]
fn rclone_by_a_file() {
    let Some((_server, kitchen)) = store("rclone") else { return };
    kitchen.run(&fast("rclone")).ends_with(0);
    assert_eq!(kitchen.requests(), 5_000);
    // Of an object that isn't there nothing is sent, not even what lies there from the night before.
    let gone = kitchen.run(&fast("rclone").replace("exports/contacts.csv", "exports/gone.csv"));
    assert!(gone.status != Some(0) && kitchen.requests() == 5_000, "{gone}");
}

#[test]
fn rclone_by_a_pipe() {
    let Some((_server, kitchen)) = store("rclone") else { return };
    kitchen.run(&fast("rclone-pipe")).ends_with(0);
    assert_eq!(kitchen.requests(), 5_000);
}

#[test]
fn aws_by_a_pipe() {
    let Some((_server, kitchen)) = store("aws") else { return };
    kitchen.run(&fast("aws-pipe")).ends_with(0);
    assert_eq!(kitchen.requests(), 5_000);
}

/// `head` stands for a connection that is lost.
#[test]
fn a_transfer_that_breaks_off() {
    let Some((_server, kitchen)) = store("rclone") else { return };
    let cut = |object: &str, bytes: u32, options: &str| {
        let push = format!("contactsync push - --rate unlimited {options}");
        kitchen.run(&format!("rclone cat store:exports/{object} | head -c {bytes} | {push}"))
    };
    cut("contacts.csv.gz", 10_000, "--report a.ndjson").ends_with(5);
    let sent = kitchen.requests();
    assert!((1..5_000).contains(&sent), "what was whole before");
    // Nothing tells of a plain one that is cut between two rows.
    let whole_rows = 11 + 20 * 9;
    cut("contacts.csv", whole_rows, "--report b.ndjson").ends_with(0).says("9 rows read");
    assert_eq!(kitchen.requests(), sent + 9);
    // Nor within a value, which is worse.
    cut("contacts.csv", whole_rows + 10, "--report d.ndjson --skip 9").ends_with(0);
    assert_eq!(kitchen.contact(10, "email").as_deref(), Some("user10@"));
    // But its rows are fewer than there should be.
    cut("contacts.csv", whole_rows, "--report c.ndjson --spool --min-rows 4900").ends_with(2).says("--min-rows");
    assert_eq!(kitchen.requests(), sent + 10);
}
