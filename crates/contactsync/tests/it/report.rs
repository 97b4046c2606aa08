//! Reports added up: table, JSON, spreadsheet, page.

use std::{
    io::Write,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{Workplace, finish, skipped};

fn record(row: u64, outcome: &str, reason: &str, more: &Value) -> Value {
    let mut record = json!({
        "source": "a.csv", "row": row, "line": row + 1, "euid": row.to_string(), "outcome": outcome, "reason": reason,
        "code": null, "message": null, "http_status": null, "attempts": i32::from(outcome != "rejected"),
        "latency_ms": if outcome == "rejected" { Value::Null } else { json!(20 + row % 7) },
        "at": format!("2026-01-31T09:{:02}:{:02}.000Z", row / 60 % 60, row % 60), "contacts": null, "raw": null,
    });
    for (name, value) in more.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// Every value in it must never be seen on a masked page.
fn hostile() -> Vec<Value> {
    let script = "<script>document.title='broken'</script><img src='http://example.com/x'>";
    vec![
        record(1, "synced", "", &json!({})),
        record(
            2,
            "failed",
            "timeout",
            &json!({"contacts": {"email": "hidden-word@example.com", "<b>name</b>": script}}),
        ),
        record(
            3,
            "failed",
            "parameters_invalid",
            &json!({"code": 55004, "message": "HIDDEN-WORD@example.com and +12025550101 hidden-word are wrong",
                    "contacts": {"email": "hidden-word"}}),
        ),
        record(
            4,
            "rejected",
            "value_too_long",
            &json!({"message": "column \"email\" (column 2): 1048576 characters; found \"hidden-wordhidden-word…\"",
                    "contacts": {"email": "hidden-word".repeat(95_326)}}),
        ),
        record(
            5,
            "rejected",
            "malformed_row",
            &json!({"message": "line 6: 2 fields", "raw": "5,hidden-word,\u{202e}x"}),
        ),
        record(
            6,
            "rejected",
            "euid_invalid",
            &json!({"euid": "hidden-word@example.com", "message": "not digits; found \"hidden-word\""}),
        ),
        record(7, "failed", "api_other", &json!({"message": format!("{script} \u{202e}\u{1b}[31m"), "source": script})),
    ]
}

#[test]
fn a_table_says_what_happened_and_what_to_do() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    let ran = place.run(&["report", "r.ndjson"]).ends_with(0).never_says("hidden-word").never_says("\u{1b}");
    for expected in [
        "7 rows\n",
        "decided from 2026-01-31T09:00:01.000Z to 2026-01-31T09:00:07.000Z",
        "  failed                3   42.9 %",
        "timeout                         1  Send the row again later",
        "rejected by column\n  email                           1",
        "requests: 4, 0 of them retries",
        "requests a second over time",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{ran}");
    }
    let only = place.run(&["report", "r.ndjson", "--outcome", "rejected", "--json"]).ends_with(0).json();
    assert_eq!((&only["rows"], &only["rejected"], &only["failed"]), (&json!(3), &json!(3), &json!(0)));
    assert_eq!(only["reasons"], json!({"euid_invalid": 1, "malformed_row": 1, "value_too_long": 1}));
    for (filter, rows) in [
        (&["--reason", "timeout,api_other"][..], 2),
        (&["--code", "55004"], 1),
        (&["--code", "-1"], 0),
        (&["--source", "a.csv"], 6),
        (&["--source", "a.csv", "--outcome", "failed"], 2),
    ] {
        let ran = place.run(&[&["report", "r.ndjson", "--json"], filter].concat()).ends_with(0);
        assert_eq!(ran.json()["rows"], rows, "{filter:?}");
    }
}

#[test]
fn the_latest_record_of_a_row_counts_over_several_reports() {
    let place = Workplace::new();
    place.file(
        "night.ndjson",
        lines(&[record(1, "failed", "timeout", &json!({})), record(2, "failed", "network", &json!({}))]),
    );
    place.file("morning.ndjson", lines(&[record(1, "synced", "", &json!({"at": "2026-02-01T07:00:00.000Z"}))]));
    for order in [["night.ndjson", "morning.ndjson"], ["morning.ndjson", "night.ndjson"]] {
        let figures = place.run(&[&["report", "--json"], &order[..]].concat()).ends_with(0).json();
        assert_eq!((&figures["rows"], &figures["synced"], &figures["failed"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!(figures["reasons"], json!({"network": 1}));
    }
}

#[test]
fn a_spreadsheet_gets_every_row_that_is_to_be_mended() {
    let place = Workplace::new();
    let records = [
        record(1, "synced", "", &json!({})),
        record(
            2,
            "failed",
            "timeout",
            &json!({"code": -1, "contacts": {"mobile_phone": "+12025550101", "email": "=1+1"}}),
        ),
        record(3, "rejected", "malformed_row", &json!({"message": "@x", "raw": "a,\"b\nc"})),
    ];
    place.file("r.ndjson", lines(&records));
    place.run(&["report", "r.ndjson", "--csv", "rows.csv"]).ends_with(0).says("wrote 2 rows to rows.csv");
    assert_eq!(
        place.read("rows.csv"),
        "\u{feff}source,row,line,euid,outcome,reason,code,message,http_status,attempts,at,email,mobile_phone,raw\n\
         a.csv,2,3,2,failed,timeout,-1,,,1,2026-01-31T09:00:02.000Z,'=1+1,'+12025550101,\n\
         a.csv,3,4,3,rejected,malformed_row,,'@x,,0,2026-01-31T09:00:03.000Z,,,\"a,\"\"b\nc\"\n"
    );
    assert_eq!(std::fs::metadata(place.path("rows.csv")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_can_not_be_shown_is_2() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    for (arguments, why) in [
        (&["report"][..], "<REPORT>..."),
        (&["report", "none.ndjson"], "none.ndjson can't be read"),
        (&["report", "r.ndjson", "./r.ndjson"], "is given twice"),
        (&["report", "r.ndjson", "--csv", "r.ndjson"], "would overwrite the report r.ndjson"),
        (&["report", "r.ndjson", "--html", "x", "--csv", "./x"], "name the same file"),
        (&["report", "r.ndjson", "--outcome", "lost"], "it is one of synced"),
    ] {
        place.run(arguments).ends_with(2).says(why);
    }
    place.run(&["report", "r.ndjson", "--html", "no/such/folder.html"]).ends_with(5).says("can't be written");
}

#[test]
fn no_value_is_on_a_page_unless_it_is_asked_for() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    place.run(&["report", "r.ndjson", "--html", "page.html"]).ends_with(0).says("wrote page.html");
    let page = place.read("page.html");
    let lower = page.to_lowercase();
    for leak in ["hidden-word", "12025550101", "<script>document", "\u{202e}", "\u{1b}", "<b>name"] {
        assert!(!lower.contains(leak), "{leak}");
    }
    assert!(page.contains("Of 7 rows: 1 accepted, 3 rejected before sending, 3 failed."));
    assert!(page.contains("•••") && page.len() < 60_000);
    assert_eq!(std::fs::metadata(place.path("page.html")).unwrap().permissions().mode() & 0o777, 0o600);
    place.run(&["report", "r.ndjson", "--html", "page.html", "--show-values"]).ends_with(0);
    let page = place.read("page.html");
    assert!(page.contains("hidden-word@example.com") && !page.contains("<script>document") && page.len() < 60_000);
}

/// What a browser makes of a page: its document once the script ran. None where no browser is installed.
fn browsed(place: &Workplace, page: &str) -> Option<(String, String)> {
    let program = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(program) = program else {
        skipped("Chromium is not installed");
        return None;
    };
    let mut browser = Command::new(program);
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    browser.args([
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--enable-logging=stderr",
        "--dump-dom",
    ]);
    browser.arg(format!("--user-data-dir={}", place.path("browser").display()));
    browser.arg(format!("--log-net-log={}", place.path("net.json").display()));
    browser.arg(format!("file://{}", place.path(page).display()));
    browser.stdin(std::process::Stdio::null());
    browser.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = finish(browser.spawn().unwrap());
    Some((ran.stdout, ran.stderr))
}

#[test]
fn in_a_browser_the_page_searches_asks_nobody_and_runs_no_other_script() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    place.run(&["report", "r.ndjson", "--html", "page.html", "--show-values"]).ends_with(0);
    let Some((document, log)) = browsed(&place, "page.html#timeout") else { return };
    assert!(document.contains("<span id=\"found\" role=\"status\">1 of 6 rows</span>"), "{document}\n{log}");
    assert_eq!(document.matches("<tr class=\"hidden\">").count(), 5);
    assert!(document.contains("<title>contactsync: "), "a value ran as a script");
    let said: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "{said:?}");
    // The browser itself asks its makers; the page, whose values name another host, must not.
    assert!(!place.read("net.json").contains("example.com/x"));
    place.file("control.html", "<img src='http://example.com/x'>");
    browsed(&place, "control.html");
    assert!(place.read("net.json").contains("example.com/x"), "a request would be seen");
}

#[test]
fn without_script_and_for_one_row_or_many_the_page_is_whole() {
    for rows in [1, 3_000] {
        let place = Workplace::new();
        let failed =
            |row| record(row, "failed", "timeout", &json!({"contacts": {"email": format!("{row}@example.com")}}));
        place.file("r.ndjson", lines(&(1..=rows).map(failed).collect::<Vec<_>>()));
        place.run(&["report", "r.ndjson", "--html", "page.html"]).ends_with(0);
        let page = place.read("page.html");
        assert_eq!(page.matches("<td data-label=\"EUID\">").count() as u64, rows.min(1_000));
        assert_eq!(page.contains("The first 1000 of 3\u{202f}000 rows"), rows == 3_000);
        let (before, script) = page.split_once("<script>").unwrap();
        place.file("page.html", before.to_owned() + script.split_once("</script>").unwrap().1);
        let Some((document, _)) = browsed(&place, "page.html") else { return };
        assert_eq!(document.matches("<td data-label=\"EUID\">").count() as u64, rows.min(1_000));
        assert!(!document.contains("body class=\"script\""), "what needs the script is hidden");
    }
}

#[test]
fn a_pipe_and_standard_input_are_read_whole_for_each_output() {
    let place = Workplace::new();
    let text = lines(&(1..=3_000).map(|row| record(row, "failed", "timeout", &json!({}))).collect::<Vec<_>>());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    for bytes in [text.as_bytes(), &packed] {
        let ran =
            place.run_with_stdin(&["report", "-", "--csv", "rows.csv", "--html", "page.html"], bytes).ends_with(0);
        ran.says("wrote 3000 rows to rows.csv");
        assert_eq!(place.read("rows.csv").lines().count(), 3_001);
        assert!(place.read("page.html").contains("The first 1000 of 3\u{202f}000 rows"));
        // As `<(zcat r.gz)` names it.
        let figures = place.run_with_stdin(&["report", "/dev/stdin", "--json"], bytes).ends_with(0).json();
        assert_eq!(figures["rows"], 3_000);
        place.run_with_stdin(&["report", "-", "-"], bytes).ends_with(2).says("is given twice");
        place.run_with_stdin(&["replay", "-", "--dry-run"], bytes).ends_with(0).says("3000 expired");
    }
}

#[test]
fn a_hyphen_is_standard_output_for_one_output() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    let sheet = place.run(&["report", "r.ndjson", "--csv", "-"]).ends_with(0).stdout;
    assert!(sheet.starts_with("\u{feff}source,row,") && sheet.contains("hidden-word"), "{sheet}");
    let page = place.run(&["report", "r.ndjson", "--html", "-"]).ends_with(0).stdout;
    assert!(page.starts_with("<!") && !page.contains("hidden-word"));
    for outputs in [&["--csv", "-", "--html", "-"][..], &["--json", "--csv", "-"], &["--html", "-", "--json"]] {
        let ran = place.run(&[&["report", "r.ndjson"], outputs].concat()).ends_with(2);
        ran.says("can't both go to standard output");
    }
    assert!(!place.exists("-"));
}

#[test]
fn a_pipe_and_a_device_are_written_to_and_stay_what_they_are() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    let fifo = place.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    std::os::unix::fs::symlink("/dev/null", place.path("null")).unwrap();
    for option in ["--csv", "--html", "--summary"] {
        let command = |to: &str| match option {
            "--summary" => place.run(&["check", "r.ndjson", "--all-columns", option, to]),
            _ => place.run(&["report", "r.ndjson", option, to]).ends_with(0),
        };
        for device in ["/dev/null", "null"] {
            command(device);
            let metadata = std::fs::metadata("/dev/null").unwrap();
            assert!(metadata.file_type().is_char_device(), "{option} {device}");
        }
        assert!(std::fs::symlink_metadata(place.path("null")).unwrap().is_symlink());
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read(fifo).unwrap()
        });
        command("fifo");
        assert!(!reader.join().unwrap().is_empty(), "{option}");
        assert!(std::fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo(), "{option}");
    }
    let folder: Vec<_> = std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(folder.len(), 3, "{folder:?}");
}

#[test]
fn an_output_is_never_an_input_or_another_output_also_through_links() {
    let place = Workplace::new();
    place.file("r.ndjson", lines(&hostile()));
    let before = place.read("r.ndjson");
    let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, place.path(from)).unwrap();
    link("r.ndjson", "to-input");
    link("new.csv", "to-new");
    link("to-new", "to-link");
    std::fs::hard_link(place.path("r.ndjson"), place.path("hard")).unwrap();
    for output in ["r.ndjson", "to-input", "hard", "./r.ndjson"] {
        place.run(&["report", "r.ndjson", "--csv", output]).ends_with(2).says("would overwrite the report r.ndjson");
    }
    for other in ["new.csv", "to-new", "./to-link"] {
        place.run(&["report", "r.ndjson", "--csv", "to-link", "--html", other]).ends_with(2).says("name the same file");
    }
    assert_eq!(place.read("r.ndjson"), before);
    // A link to what isn't there yet is followed.
    place.run(&["report", "r.ndjson", "--csv", "to-link"]).ends_with(0);
    assert!(place.read("new.csv").contains("hidden-word"));
    assert!(std::fs::symlink_metadata(place.path("to-link")).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(place.path("new.csv")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn names_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let place = Workplace::new();
    let name = std::ffi::OsStr::from_bytes(b"r\xff.ndjson");
    std::fs::write(place.path("").join(name), lines(&hostile())).unwrap();
    let [csv, same] = [b"\xff.csv", b"\xfe.csv"].map(|name| std::ffi::OsStr::from_bytes(name));
    let arguments = ["report".as_ref(), name, "--csv".as_ref(), csv, "--html".as_ref(), same];
    place.run(&arguments).ends_with(0).says("wrote 6 rows");
    assert!(place.path("").join(csv).exists() && place.path("").join(same).exists());
    place.run(&["report".as_ref(), name, "--csv".as_ref(), name]).ends_with(2).says("would overwrite the report");
}

#[test]
fn no_value_is_taken_for_a_column_or_shown_by_the_table() {
    let place = Workplace::new();
    let value = "hidden-word@example.com";
    let records = [
        record(1, "failed", "api_other", &json!({"message": format!("contact \"{value}\" is wrong"), "code": 7})),
        record(
            2,
            "rejected",
            "value_invalid",
            &json!({"message": format!("column \"{value}\" (column 2) is an array")}),
        ),
        record(3, "rejected", "value_invalid", &json!({"message": "contact \"+12025550101\" is an array"})),
        record(4, "rejected", "value_invalid", &json!({"message": "column \"email\" (column 2) is an array"})),
    ];
    place.file("r.ndjson", lines(&records));
    let figures = place.run(&["report", "r.ndjson", "--json"]).ends_with(0).never_says("hidden-word").json();
    assert_eq!(figures["columns"], json!({"•••": 2, "email": 1}));
    place.run(&["report", "r.ndjson"]).ends_with(0).never_says("hidden-word").never_says("2025550101");
    place.run(&["report", "r.ndjson", "--html", "p.html"]).ends_with(0);
    let page = place.read("p.html");
    assert!(!page.contains("hidden-word") && !page.contains("2025550101") && page.contains("•••"));
    let shown = place.run(&["report", "r.ndjson", "--json", "--show-values"]).ends_with(0).json();
    assert_eq!(shown["columns"], json!({value: 1, "+12025550101": 1, "email": 1}));
}
