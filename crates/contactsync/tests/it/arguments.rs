use crate::support::Workplace;

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Workplace::new();
    for arguments in [&["--help"][..], &["-h"], &["--version"], &["push", "--help"], &["config", "show", "-h"]] {
        let ran = place.run(arguments).ends_with(0);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran}");
    }
}

#[test]
fn the_short_help_shows_what_matters_most() {
    let ran = Workplace::new().run(&["push", "-h"]).ends_with(0);
    let options = ran.stdout.lines().filter(|line| line.trim_start().starts_with("--"));
    let names: Vec<&str> = options.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(
        names,
        [
            "--encoding",
            "--euid-column",
            "--map",
            "--contacts",
            "--limit",
            "--identify-by",
            "--id-column",
            "--dry-run",
            "--region",
            "--sandbox",
            "--rate",
            "--state",
            "--report",
            "--summary",
            "--resume",
            "--compare-service"
        ]
    );
}

#[test]
fn usage_errors_end_with_2_and_say_why() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    for (arguments, why) in [
        (&["push"][..], "<INPUT>..."),
        (&["nonsense"], "unrecognized subcommand"),
        (&["check", "a.csv", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["check", "a.csv", "--contacts", "email", "--all-columns"], "cannot be used with"),
        (&["check", "a.csv", "--no-header"], "--columns <NAMES>"),
        (&["check", "a.csv", "--columns", "euid,email"], "--no-header"),
        (&["check", "a.csv", "--report-all"], "--report <FILE>"),
        (&["check", "a.csv", "--limit", "many"], "invalid value 'many' for '--limit <ROWS>'"),
        (&["check", "a.csv", "--delimiter", "x"], "it is one of ',', ';', '|', tab and ^A (the byte 1)"),
        (&["check", "a.csv", "--encoding", "klingon"], "no such encoding"),
        (&["check", "a.csv", "--map", "email"], "say which column gets which name"),
        (&["check", "a.csv", "--max-value-chars", "0"], "it is a whole number from 1"),
        (&["check", "a.csv", "--rate", "1/s"], "unexpected argument '--rate'"),
        (&["check", "a.csv", "-q", "-v"], "cannot be used with"),
        (&["push", "a.csv", "--sandbox", "--base-url", "https://example.com"], "cannot be used with"),
        (&["push", "a.csv", "--sandbox-latency", "1ms"], "--sandbox"),
        (&["push", "a.csv", "--rate", "100"], "did you mean 100/s?"),
        (&["push", "a.csv", "--timeout", "30"], "did you mean 30s?"),
        (&["push", "a.csv", "--timeout", "0"], "it must be more than 0"),
        (&["push", "a.csv", "--in-flight", "0"], "it is a whole number from 1 to 65536"),
        (&["push", "a.csv", "--burst", "0"], "it is a whole number from 1 to 1000000"),
        (&["push", "a.csv", "--max-failures", "101%"], "a share is between 0% and 100%"),
        (&["push", "a.csv", "--sandbox", "--ok-code", "5", "--retry-code", "5"], "can't be both"),
        (&["push", "a.csv", "--sandbox", "--retry-code", "0"], "code 0 is success"),
        (&["push", "a.csv", "--sandbox", "--resume"], "--report <FILE>"),
        (&["push", "a.csv", "--sandbox", "--report", "r", "--resume", "--force"], "cannot be used with"),
        (&["push", "a.csv", "--sandbox", "--report", "r", "--accept-new-key"], "--resume"),
        (&["replay"], "<REPORT>..."),
        (&["replay", "r", "--reason", "nonsense"], "no such reason"),
        (&["replay", "r", "--all", "--code", "5"], "cannot be used with"),
        (&["replay", "r", "--trim"], "unexpected argument '--trim'"),
        (&["sandbox", "--listen", "nowhere"], "invalid value 'nowhere' for '--listen <ADDRESS>'"),
        (&["sandbox", "--fault", "nonsense"], "invalid value 'nonsense' for '--fault <SPEC>'"),
    ] {
        let ran = place.run(arguments).ends_with(2).says(why);
        assert_eq!(ran.stdout, "", "{ran}");
    }
}

#[test]
fn terminal_options_stand_on_either_side_of_the_command() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    assert_eq!(place.run(&["-q", "check", "a.csv"]).ends_with(0).stderr, "");
    assert_eq!(place.run(&["check", "a.csv", "-q"]).ends_with(0).stderr, "");
}

#[test]
fn behind_two_dashes_everything_is_an_input() {
    let place = Workplace::new().variable("CONTACTSYNC_SUMMARY", "-");
    place.file("-odd.csv", "euid,email\n1,a@example.com\n");
    let ran = place.run(&["check", "--", "-odd.csv"]).ends_with(0);
    assert_eq!(ran.json()["rows_read"], 1);
}

#[test]
fn credentials_are_never_options() {
    let place = Workplace::new();
    for option in ["--api-key", "--api-secret"] {
        place.run(&["push", "a.csv", option, "x"]).ends_with(2).says("unexpected argument");
    }
}
