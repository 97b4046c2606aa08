//! docs/reference.md is what the program says of itself. `cargo xtask docs` writes it anew.

use std::path::Path;

use crate::support::Workplace;

const HEAD: &str = "\
# Reference

What the program says of itself: options, environment, exit statuses, reasons and codes. Written by `cargo xtask docs`; a test
fails where it is out of date.
";
const COMMANDS: [&str; 15] = [
    "push",
    "replay",
    "verify",
    "check",
    "report",
    "doctor",
    "sandbox",
    "explain",
    "state info",
    "state forget",
    "state rebind",
    "config show",
    "config init",
    "completions",
    "man",
];

fn said(arguments: &[&str]) -> String {
    Workplace::new().run(arguments).ends_with(0).stdout
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut part = |title: &str, body: &str| {
        text += &format!("\n## {title}\n\n```text\n{}\n```\n", body.trim_end());
    };
    part("contactsync", &said(&["--help"]));
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        part(&format!("contactsync {command}"), &said(&words));
    }
    part("Reasons and codes", &said(&["explain"]));
    text + "\n## Exit status\n\n| status | meaning |\n|---|---|\n" + &statuses()
}

/// From the manual, whose roff has an entry a status.
fn statuses() -> String {
    let manual = said(&["man"]).replace("\\-", "-").replace("\\*(Aq", "'");
    let section = manual.split(".SH \"EXIT STATUS\"\n").nth(1).unwrap().split(".SH ").next().unwrap();
    let entries = section.split(".TP\n").skip(1).map(|entry| {
        let (status, meaning) = entry.trim_end().split_once('\n').unwrap();
        format!("| {} | {meaning} |\n", status.replace("\\fB", "").replace("\\fR", ""))
    });
    entries.collect()
}

#[test]
fn the_reference_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let expected = reference();
    if std::env::var_os("CONTACTSYNC_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(written == expected, "out of date from line {differs:?} on: run `cargo xtask docs`");
}
