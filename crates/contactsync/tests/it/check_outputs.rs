use std::os::unix::fs::symlink;

use crate::support::Workplace;

const GOOD: &str = "euid,email\n1,a@example.com\n";

#[test]
fn what_a_run_reads_or_another_has_left_is_never_replaced() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place.file("c.toml", "rate = \"50/s\"\n");
    place.file("sec", "sandbox-secret\n");
    place.file("other.state", "contactsyncstate and what follows");
    for report in ["other.csv", "other.ndjson", "other.ndjson.gz", "other.ndjson.zst"] {
        place.run(&["push", "a.csv", "--sandbox", "--report", report]).ends_with(0);
    }
    let kept = ["other.state", "other.csv", "other.ndjson", "other.ndjson.gz", "other.ndjson.zst", "other.ndjson.run"];
    let lost = "would replace a state or a report that lies there";
    for output in kept {
        let before = std::fs::read(place.path(output)).unwrap();
        for (option, command) in [
            ("--summary", ["push", "a.csv", "--sandbox", "--report", "new.ndjson"]),
            ("--csv", ["report", "other.ndjson", "--show-values", "--color", "never"]),
        ] {
            let is_read = option == "--csv" && output == "other.ndjson";
            let lost = if is_read { "would overwrite the report other.ndjson" } else { lost };
            place.run(&[&command[..], &[option, output]].concat()).ends_with(2).says(lost);
            assert_eq!(std::fs::read(place.path(output)).unwrap(), before, "{option} {output}");
        }
    }
    assert!(!place.exists("new.ndjson"));
    // What such a command has written itself it replaces.
    for _ in 0..2 {
        place.run(&["report", "other.ndjson", "--csv", "sheet.csv", "--html", "page.html"]).ends_with(0);
    }
    let place = place.variable("ENGAGELAB_MA_API_SECRET_FILE", "./sec");
    for (option, output, why) in [
        ("--summary", "sec", "would overwrite ./sec, which this command reads"),
        ("--metrics-file", "sec", "would overwrite ./sec, which this command reads"),
        ("--summary", "c.toml", "would overwrite c.toml, which this command reads"),
        ("--report", "./c.toml", "would overwrite c.toml, which this command reads"),
    ] {
        let before = place.read(output);
        let push = ["push", "a.csv", "--sandbox", "--config", "c.toml", "--force", option, output];
        let why = format!("error: {option} {output} {why}\nhint: name another file");
        place.run(&push).ends_with(2).says(&why);
        assert_eq!(place.read(output), before, "{option} {output}");
    }
    for _ in 0..2 {
        place.run(&["push", "a.csv", "--sandbox", "--config", "c.toml", "--summary", "s.json"]).ends_with(0);
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_before_anything() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    symlink(place.path("a.csv"), place.path("link.csv")).unwrap();
    std::fs::hard_link(place.path("a.csv"), place.path("other.csv")).unwrap();
    for output in ["a.csv", "./a.csv", "link.csv", "other.csv"] {
        for option in ["--report", "--summary"] {
            place
                .run(&["check", "a.csv", "--force", option, output])
                .ends_with(2)
                .says(&format!("{option} {output} would overwrite the input a.csv"));
        }
    }
    assert_eq!(place.read("a.csv"), GOOD);
}

#[test]
fn standard_input_is_an_input_too() {
    let place = Workplace::new();
    let path = place.file("a.csv", GOOD);
    let mut command = place.command(&["check", "-", "--force", "--report", "a.csv"]);
    let child = command.stdin(std::fs::File::open(path).unwrap()).spawn().unwrap();
    crate::support::finish(child).ends_with(2).says("--report a.csv would overwrite the input -");
    assert_eq!(place.read("a.csv"), GOOD);
}

#[test]
fn two_outputs_in_one_file_are_refused() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    for summary in ["out.ndjson", "./out.ndjson"] {
        place
            .run(&["check", "a.csv", "--report", "out.ndjson", "--summary", summary])
            .ends_with(2)
            .says("--report and --summary name the same file");
    }
    assert!(!place.exists("out.ndjson"));
}

#[test]
fn devices_can_be_shared() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    place.run(&["check", "a.csv", "--report", "/dev/null", "--summary", "/dev/null"]).ends_with(0);
}

#[test]
fn a_summary_replaces_the_last_one_whole() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    place.file("summary.json", "x".repeat(10_000));
    symlink(place.path("summary.json"), place.path("link.json")).unwrap();
    place.run(&["check", "a.csv", "--summary", "link.json"]).ends_with(0);
    assert_eq!(place.json_lines("summary.json")[0]["rows_read"], 1);
    assert!(std::fs::symlink_metadata(place.path("link.json")).unwrap().is_symlink());
    place.run(&["check", "a.csv", "--summary", "no/folder.json"]).ends_with(2).says("a folder that isn't there");
    place.run(&["check", "a.csv", "--summary", "."]).ends_with(2).says("is a folder");
}
