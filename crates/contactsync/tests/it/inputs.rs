//! Which inputs are taken, under which names, and which of their columns and rows.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Workplace},
};

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

#[test]
fn a_typo_in_an_option_sends_nothing() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email,E-Mail\n1,a@example.com,b@example.com\n");
    place.file("a.ndjson", "{\"euid\":1,\"email\":\"a@example.com\",\"nick\":\"b\"}\n");
    place.file("a.json", "[{\"euid\":1,\"contacts\":{\"email\":\"a@example.com\"}}]");
    let cases: &[(&str, &[&str], &str)] = &[
        ("a.csv", &["--contacts", "emial"], "did you mean \"email\"?"),
        ("a.csv", &["--contacts", "email,nick"], "no input has a column or key \"nick\", named in `--contacts`"),
        ("a.csv", &["--all-columns", "--map", "E-Mal=mail"], "\"E-Mal\", named in `--map` (did you mean \"email\"?)"),
        ("a.csv", &["--all-columns", "--euid-column", "uid"], "has no column \"uid\""),
        ("a.ndjson", &["--contacts", "emial,nick"], "did you mean \"email\"?"),
        ("a.ndjson", &["--contacts", "email", "--map", "nik=nick"], "did you mean \"nick\"?"),
        ("a.ndjson", &["--all-columns", "--euid-column", "euids"], "did you mean \"euid\"?"),
        ("a.json", &["--contacts", "emial"], "did you mean \"email\"?"),
    ];
    for (input, options, said) in cases {
        for command in ["push", "check"] {
            place.run(&[&[command, input], *options].concat()).ends_with(2).says(said);
        }
        let piped = place.run_with_stdin(&[&["push", "-"], *options].concat(), place.read(input).as_bytes());
        piped.ends_with(2).says(said);
    }
    assert_eq!(service.record().stats().requests, 0);
}

#[test]
fn an_option_of_delimited_text_is_warned_of_where_there_is_none() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place.file("a.ndjson", "{\"euid\":1,\"email\":\"a@example.com\"}\n");
    place.file("a.json", "[{\"euid\":1,\"email\":\"a@example.com\"}]");
    let warns = "for CSV and TSV alone";
    for options in [&["--delimiter", ";"][..], &["--escape", "backslash"], &["--quote", "none"]] {
        let check = |inputs: &[&str]| place.run(&[&["check"], inputs, options].concat());
        check(&["a.ndjson"])
            .ends_with(0)
            .says(&format!("warning: `{}`: for CSV and TSV alone, and a.ndjson is JSON\n", options[0]));
        check(&["a.json", "a.ndjson"]).ends_with(0).says("a.json is JSON, as are the others");
    }
    let no_header = ["--no-header", "--columns", "euid,email", "--quote", "double"];
    place
        .run(&[&["check", "a.json"], &no_header[..]].concat())
        .ends_with(0)
        .says("warning: `--quote`, `--no-header`: for CSV and TSV alone");
    // They may be there for the other input.
    place.run(&["check", "a.json", "a.csv", "--quote", "double"]).ends_with(0).never_says(warns);
    place.run(&["check", "a.json"]).ends_with(0).never_says(warns);
}

#[test]
fn a_sparse_name_is_warned_of_and_the_summary_repeats_it_where_it_never_showed_up() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let rows = |last: &str| format!("{}{last}\n", "{\"euid\":1,\"email\":\"a@example.com\"}\n".repeat(1_200));
    place.file("never.ndjson", rows("{\"euid\":2,\"email\":\"b@example.com\"}"));
    place.file("late.ndjson", rows("{\"euid\":2,\"contacts\":{\"nick\":\"b\"}}"));
    place.file("none.ndjson", "\n");
    let warned = "warning: no input has shown the name \"nick\", named in `--contacts`, until now";
    let repeated = "the name \"nick\", named in `--contacts`, never showed up in the input";
    for command in [&["check"][..], &["push", "--rate", "unlimited"]] {
        let run = |input: &str| place.run(&[command, &[input, "--contacts", "email,nick"]].concat()).ends_with(0);
        run("never.ndjson").says(warned).says(repeated);
        run("late.ndjson").says(warned).never_says(repeated);
        run("none.ndjson").never_says("nick");
    }
}

#[test]
fn what_can_t_be_an_input_is_said_as_what_it_is() {
    let place = Workplace::new();
    place.file("folder/a.csv", "euid,email\n1,a@example.com\n");
    std::os::unix::fs::symlink("gone.csv", place.path("link.csv")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    for command in ["check", "push"] {
        let sandbox = (command == "push").then_some("--sandbox");
        let refused = |input| place.run(&[command, input].into_iter().chain(sandbox).collect::<Vec<_>>()).ends_with(2);
        refused("absent.csv").says("absent.csv: there is no such file").says("check the spelling");
        refused("*.csv").says("*.csv: there is no such file").says("pattern");
        refused("folder").says("folder: is a folder, not a file").says("folder/*.csv");
        refused("folder/").says("folder/*.csv");
        refused("link.csv").says("link.csv: is a link to gone.csv, which is not there");
        refused("folder/a.csv/b.csv").says("folder/a.csv/b.csv: can't be read: Not a directory");
        refused("socket").says("socket: is a socket");
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 3, "nothing is left behind");
}

#[test]
fn an_input_is_one_whatever_its_names() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    std::fs::hard_link(place.path("a.csv"), place.path("b.csv")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink("fifo", place.path("other")).unwrap();
    // Nobody writes the pipe, so none of these may wait for it.
    place.run(&["check", "a.csv", "b.csv"]).ends_with(2).says("b.csv: is the same as a.csv, which is given too");
    place.run(&["check", "fifo", "other"]).ends_with(2).says("other: is the same as fifo, which is given too");
    place.run(&["check", "fifo", "fifo"]).ends_with(2).says("fifo: is given twice");
    place.run(&["check", "fifo", "absent.csv"]).ends_with(2).says("absent.csv: there is no such file");
    place.run(&["check", "fifo", "a.csv", "--report", "a.csv", "--force"]).ends_with(2).says("a.csv");
    place
        .run_with_stdin(&["check", "-", "/dev/stdin"], b"euid,email\n")
        .ends_with(2)
        .says("/dev/stdin: is the same as -");
}

#[test]
fn names_that_are_no_text_are_sources_that_can_be_told_apart() {
    let service = Service::with_faults(&["code=55004:0.3"]);
    let place = service.workplace();
    let name = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let names = [name(b"a\xff.csv"), name(b"a\\xFF.csv"), name(b"a\xfe.csv")];
    for (number, name) in (1_u64..).zip(&names) {
        let rows = users(40).replace('\n', &format!("\n{number}"));
        std::fs::write(place.path("").join(name), rows.trim_end_matches(|c| c != '\n')).unwrap();
    }
    let push = |more: &[&str]| {
        let mut arguments: Vec<OsString> = vec!["push".into()];
        arguments.extend(names.iter().cloned());
        arguments.extend(
            ["--report", "r.ndjson", "--resume", "--summary", "s.json", "--in-flight", "1"].map(OsString::from),
        );
        arguments.extend(more.iter().map(OsString::from));
        place.run(&arguments)
    };
    let stopped = push(&["--max-failures", "20"]).ends_with(4);
    let line = stopped.stderr.lines().find_map(|line| line.strip_prefix("to go on: ")).unwrap();
    // As printed, by a shell.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line.replace("--max-failures 20", "")]).current_dir(place.path("")).env_clear();
    shell.envs([
        ("ENGAGELAB_MA_BASE_URL", service.url().as_str()),
        ("ENGAGELAB_MA_API_KEY", "sandbox-key"),
        ("ENGAGELAB_MA_API_SECRET", "sandbox-secret"),
    ]);
    let resumed = crate::support::finish(shell.stderr(std::process::Stdio::piped()).spawn().unwrap());
    resumed.ends_with(1).says("resuming: the report decides");
    let sources = ["a\\xFF.csv", "a\\x5CxFF.csv", "a\\xFE.csv"];
    let counts = summary(&place);
    let told: Vec<&Value> = counts["inputs"].as_array().unwrap().iter().map(|input| &input["source"]).collect();
    assert_eq!(told, sources, "{counts}");
    let mut decided: Vec<(String, u64)> = place
        .json_lines("r.ndjson")
        .iter()
        .map(|record| (record["source"].as_str().unwrap().to_owned(), record["row"].as_u64().unwrap()))
        .collect();
    decided.sort();
    let mut expected: Vec<(String, u64)> =
        sources.iter().flat_map(|source| (1..=40).map(|row| ((*source).to_owned(), row))).collect();
    expected.sort();
    assert_eq!(decided, expected);
    push(&[]).ends_with(1).says("this run finished at");
    place.run(&["replay", "r.ndjson", "--all", "--dry-run"]).ends_with(0);
}

/// Stops a push of these inputs half way, resumes it, and returns source and row of what was decided.
fn stopped_and_resumed(inputs: &[&str], stdin: &[u8], options: &[&str]) -> (Vec<(String, u64)>, Ran, Workplace) {
    let service = Service::with_faults(&["code=55004:0.3"]);
    let place = service.workplace();
    place.file("a.csv", users(200));
    place.file("b.csv", users(300).replace('\n', "\n7").trim_end_matches('7'));
    let push = |more: &[&str]| {
        let fixed = ["push", "--report", "r.ndjson", "--resume", "--summary", "s.json", "--in-flight", "2"];
        place.run_with_stdin(&[&fixed, inputs, options, more, &["--rate", "unlimited"]].concat(), stdin)
    };
    push(&["--max-failures", "9"]).ends_with(4);
    let ran = push(&[]).ends_with(1);
    let rows = place.json_lines("r.ndjson");
    let mut rows: Vec<(String, u64)> =
        rows.iter().map(|row| (row["source"].as_str().unwrap().to_owned(), row["row"].as_u64().unwrap())).collect();
    rows.sort();
    push(&[]).ends_with(1).says("this run finished at");
    (rows, ran, place)
}

#[test]
fn a_resume_takes_the_rows_that_the_first_try_would_have_taken() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, users(200).as_bytes()).unwrap();
    let gzip = encoder.finish().unwrap();
    let plain = users(200).into_bytes();
    for (inputs, stdin) in [
        (&["a.csv"][..], &plain[..]),
        (&["-"], &plain),
        (&["-"], &gzip),
        (&["-", "--spool"], &plain),
        (&["-", "b.csv"], &plain),
        (&["b.csv", "-"], &gzip),
    ] {
        for (skip, limit) in [(0, 100), (20, 100), (0, 40), (120, 80), (150, 400)] {
            let (skip_text, limit_text) = (skip.to_string(), limit.to_string());
            let (rows, ran, place) =
                stopped_and_resumed(inputs, stdin, &["--skip", &skip_text, "--limit", &limit_text]);
            let all = inputs.iter().filter(|input| !input.starts_with("--")).flat_map(|input| {
                let rows = if *input == "b.csv" { 300 } else { 200 };
                (1..=rows).map(|row| ((*input).to_owned(), row))
            });
            let mut expected: Vec<(String, u64)> = all.skip(skip).take(limit).collect();
            expected.sort();
            assert_eq!(rows, expected, "{inputs:?} --skip {skip} --limit {limit}\n{ran}");
            assert_eq!(summary(&place)["rows_read"], json!(expected.len()), "{inputs:?}");
        }
    }
}

#[test]
fn texts_that_count_as_empty_are_compared_one_by_one() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,a\n2,\"a,b\"\n3,c@example.com\n");
    let push = ["push", "a.csv", "--report", "r.ndjson", "--resume"];
    place.run(&[&push[..], &["--null", "a,b"]].concat()).ends_with(1).says("no_contacts");
    let ran = place.run(&[&push[..], &["--null", "a", "--null", "b"]].concat()).ends_with(2);
    ran.says("--null: then [\"a,b\"], now [\"a\",\"b\"]");
    place.run(&[&push[..], &["--null", "a,b"]].concat()).says("this run finished at");
}

#[test]
fn header_names_are_cut_wherever_they_are_told() {
    let place = Workplace::new();
    let long = format!("\u{1b}{}", "Größe".repeat(40));
    place.file("a.csv", format!("euid,{long}_phone,email\n1,12.0,\n2,{},\n3,1,a,b\n4,NULL,a\n", "y".repeat(300)));
    place.file(
        "b.csv",
        format!("euid,{}\n1,2\n", (0..200).map(|number| format!("{long}{number}")).collect::<Vec<_>>().join(",")),
    );
    place.file(
        "c.ndjson",
        format!(
            "{{\"euid\":1,\"contacts\":{{\"{0}\":1,\"{0}\":2}}}}\n{{\"euid\":1,\"contacts\":{{\"{0}_phone\":true}}}}\n",
            "Größe".repeat(100)
        ),
    );
    for (arguments, status) in [
        (&["a.csv", "--all-columns"][..], 1),
        (&["b.csv"], 2),
        (&["b.csv", "--euid-column", "x"], 2),
        (&["c.ndjson"], 1),
    ] {
        let ran = place.run(&[&["check"], arguments].concat()).ends_with(status);
        assert!(ran.stderr.contains("Größe") && !ran.stderr.contains('\u{1b}'), "{ran}");
        let cut = "Größe".repeat(9);
        assert!(!ran.stderr.contains(&cut) && ran.stderr.len() < 6_000, "{} bytes\n{ran}", ran.stderr.len());
    }
}

#[test]
fn a_bracket_is_json_also_without_a_header() {
    let place = Workplace::new();
    place.file("array", "[{\"euid\":1,\"email\":\"a@example.com\"}]");
    let columns = ["--no-header", "--columns", "euid,email"];
    place.run(&[&["check", "array"], &columns[..]].concat()).ends_with(0).says("1 rows read");
    place.file("rows", "[1],a@example.com\n2,b@example.com\n");
    place.run(&[&["check", "rows"], &columns[..]].concat()).ends_with(5);
    place.run(&[&["check", "rows", "--format", "csv"], &columns[..]].concat()).ends_with(1).says("2 rows read");
}

/// What ends a line is part of no value, and no line becomes part of another.
#[test]
fn with_quotes_that_are_data_lines_end_as_in_any_csv() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "sep=;\neuid;nick\r\n1;\"a\r\n2;b\"\n3;c\r4;\r\n5;\"e\";\n6;f\r");
    let options = ["--quote", "none", "--all-columns", "--flexible"];
    place.run(&[&["push", "a.csv", "--summary", "s.json"], &options[..]].concat()).ends_with(1);
    assert_eq!(summary(&place)["rows_read"], 6);
    let record = service.record();
    let nick = |euid| Some(record.contacts().get(&euid)?.get("nick")?.as_str()?.to_owned());
    let nicks = [1, 2, 3, 4, 5, 6].map(nick);
    assert_eq!(
        nicks.each_ref().map(Option::as_deref),
        [Some("\"a"), Some("b\""), Some("c"), None, Some("\"e\""), Some("f")]
    );
}

#[test]
fn a_dump_whose_lines_end_in_both_ways_says_which_rows_it_cant_tell() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("lf.tsv", "euid\tnick\n1\ta\n2\tb\r\n");
    place.file("crlf.tsv", "euid\tnick\r\n3\tc\n4\td\r\n5\te\r\n");
    let options = ["--escape", "backslash", "--all-columns", "--flexible", "--report", "r.ndjson", "--force"];
    place.run(&[&["push", "lf.tsv", "crlf.tsv"], &options[..]].concat()).ends_with(1).says("malformed_row");
    let report = place.read("r.ndjson");
    assert_eq!(report.matches("line 2: a line feed without a carriage return").count(), 1, "{report}");
    assert_eq!(report.matches("line 3: a line feed without a carriage return").count(), 1, "{report}");
    assert_eq!(report.matches("line 3: a carriage return before the line end").count(), 1, "{report}");
    let record = service.record();
    let mut sent: Vec<_> =
        record.contacts().iter().map(|(euid, contacts)| format!("{euid} {}", contacts["nick"])).collect();
    sent.sort();
    assert_eq!(sent, ["1 \"a\"", "5 \"e\""]);
}

/// The first row stands in the header's place then, and messages go to logs and mails.
#[test]
fn two_values_that_are_one_in_the_place_of_names_are_not_told() {
    let place = Workplace::new();
    place.file("a.csv", "10000000001;+1 202 555 0100;Ann;Ann\n");
    for options in [&[][..], &["--all-columns"]] {
        let ran = place.run(&[&["check", "a.csv"], options].concat()).ends_with(2);
        ran.says("not told").never_says("Ann").never_says("555");
    }
}

/// Both were told apart by the reader.
#[test]
fn the_text_of_a_null_is_no_null_where_a_backslash_escapes() {
    let place = Workplace::new();
    place.file("a.tsv", "euid\tnick\n1\t\\\\N\n2\t\\N\n3\tb\n");
    place.file("a.ndjson", "{\"euid\":1,\"nick\":\"\\\\N\"}\n");
    let check = |input: &str, options: &[&str]| place.run(&[&["check", input, "--all-columns"], options].concat());
    check("a.tsv", &["--escape", "backslash"]).ends_with(1).never_says("warning");
    check("a.tsv", &["--escape", "none"])
        .ends_with(0)
        .says("--null '\\N', or for a database's dump: --escape backslash");
    check("a.ndjson", &["--escape", "backslash"]).says("--null '\\N'").never_says("dump");
}
