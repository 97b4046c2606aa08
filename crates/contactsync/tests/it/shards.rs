//! Shards: several runs over one input, each of which takes its part.

use std::{collections::BTreeMap, fs};

use model::{Euid, Shard};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace},
};

const ROWS: u64 = 1_200;
const EUIDS: u64 = 300;
const SHARDS: u64 = 4;
/// The shard whose run is killed.
const KILLED: u64 = 2;

/// Rows in which users come back, their EUIDs now and then with zeros in front; some of nobody. Each value is its row's number.
fn rows() -> (String, BTreeMap<u64, Vec<u64>>) {
    let (mut text, mut valid) = ("euid,email\n".to_owned(), BTreeMap::<u64, Vec<u64>>::new());
    for row in 1..=ROWS {
        // Rows of a user stand close together, and some come back.
        let euid = 1 + row / 3 * 7 % EUIDS;
        text += &match row % 50 {
            0 => format!(",{row}@example.com\n"),
            1 => format!("x{euid},{row}@example.com\n"),
            2 => format!("{euid},{row}@example.com,too many\n"),
            n if n % 2 == 0 => format!("{euid},{row}@example.com\n"),
            _ => format!("00{euid},{row}@example.com\n"),
        };
        if row % 50 > 2 {
            valid.entry(euid).or_default().push(row);
        }
    }
    (text, valid)
}

/// The rows that arrived for a user, in their order.
fn arrived(service: &Service, euid: u64) -> Vec<u64> {
    let row = |contacts: &serde_json::Map<String, Value>| {
        contacts["email"].as_str().and_then(|email| email.split('@').next()).unwrap().parse().unwrap()
    };
    service.record().requests(euid).iter().map(|request| row(&request.contacts)).collect()
}

fn shard(number: u64) -> String {
    format!("{number}/{SHARDS}")
}

fn figures(place: &Workplace, reports: &[String]) -> Ran {
    let reports: Vec<&str> = reports.iter().map(String::as_str).collect();
    place.run(&[&["report", "--json"], &reports[..]].concat()).ends_with(0)
}

/// Four processes at once; one is killed, and its run goes on in another folder with what it left behind.
#[test]
fn shards_of_one_file_send_every_row_once_and_keep_the_order_of_each_user() {
    let service = Service::with_faults(&["code=-1:0.02"]);
    let place = service.workplace();
    let (text, valid) = rows();
    let input = place.file("a.csv", text).display().to_string();
    let arguments = |number: u64, report: &str, rate: &str| {
        let arguments = ["push", &input, "--shard", &shard(number), "--report", report, "--rate", rate];
        let more = ["--summary", "-", "--retry-base", "1ms", "--fail-on", "failed"];
        arguments.into_iter().chain(more).map(str::to_owned).collect::<Vec<_>>()
    };
    let reports: Vec<String> = (0..SHARDS).map(|number| format!("r{number}.ndjson")).collect();
    let start = |number: u64| {
        let rate = if number == KILLED { "100/s" } else { "1000/s" };
        Running::start(&mut place.command(&arguments(number, &reports[number as usize], rate)))
    };
    let mut runs: Vec<Running> = (0..SHARDS).map(start).collect();
    // The slow one is in the middle of its rows.
    let report = &reports[KILLED as usize];
    runs[KILLED as usize].until("some rows are decided", || place.read_if_there(report).lines().count() > 5);
    runs[KILLED as usize].signal(Signal::KILL);
    let mut summaries = Vec::new();
    for (number, run) in (0..).zip(runs) {
        let ran = run.finish();
        if number != KILLED {
            summaries.push(ran.ends_with(0).json());
        }
    }
    service.settle();
    fs::create_dir(place.path("elsewhere")).unwrap();
    for end in ["", ".run"] {
        let name = format!("{report}{end}");
        fs::rename(place.path(&name), place.path("elsewhere").join(&name)).unwrap();
    }
    let moved = format!("elsewhere/{report}");
    let merged: Vec<String> =
        reports.iter().map(|name| if name == report { moved.clone() } else { name.clone() }).collect();
    let before = figures(&place, &merged).json();
    assert!(before["rows"].as_u64().unwrap() < ROWS, "{before}");
    let resume = [arguments(KILLED, &moved, "1000/s"), vec!["--resume".to_owned()]].concat();
    let resumed = place.run(&resume).ends_with(0).json();
    assert!(resumed["resumed_rows"].as_u64().unwrap() > 0, "{resumed}");
    summaries.insert(KILLED as usize, resumed);

    let killed: Shard = shard(KILLED).parse().unwrap();
    let mut of_killed = 0;
    for (euid, rows) in &valid {
        let mut arrived = arrived(&service, *euid);
        // Retries.
        arrived.dedup();
        if killed.has_euid(Euid::new(*euid).unwrap()) {
            of_killed += 1;
            // What was under way when it was killed came once more.
            let is_tried_twice = |at: usize| {
                rows.starts_with(&arrived[..at]) && rows.ends_with(&arrived[at..]) && arrived.len() >= rows.len()
            };
            assert!((0..=arrived.len()).any(is_tried_twice), "{euid}: {arrived:?}, {rows:?}");
        } else {
            assert_eq!(arrived, *rows, "{euid}");
        }
    }
    assert!(of_killed > 40, "{of_killed}");
    assert!(!service.record().any_overlap());
    let rows_read: Vec<u64> = summaries.iter().map(|summary| summary["rows_read"].as_u64().unwrap()).collect();
    assert_eq!(rows_read.iter().sum::<u64>(), ROWS, "{rows_read:?}");
    assert!(rows_read.iter().all(|rows| (200..400).contains(rows)), "{rows_read:?}");
    for (number, summary) in summaries.iter().enumerate() {
        assert_eq!(summary["shard"], shard(number as u64));
        assert_eq!(summary["inputs"][0]["rows"], summary["rows_read"]);
    }
    // Rows of nobody are dealt out: each shard has some.
    assert!(summaries.iter().all(|summary| summary["rejected"].as_u64().unwrap() >= 5), "{summaries:?}");

    let ran = figures(&place, &merged).never_says("no report of");
    let all = ran.json();
    assert_eq!((&all["rows"], &all["failed"]), (&json!(ROWS), &json!(0)));
    assert_eq!(all["rejected"], ROWS / 50 * 3);
    let (there, none) = ([0, 1, 2, 3], [0; 0]);
    assert_eq!(
        all["shards"],
        json!([{"inputs": [input], "by_count": {"4": {"there": there, "missing": none, "unfinished": none}}, "whole": false}])
    );
    let of_reports: Vec<&Value> = all["reports"].as_array().unwrap().iter().map(|report| &report["shard"]).collect();
    assert!((0..SHARDS).all(|number| of_reports.contains(&&json!(shard(number)))), "{of_reports:?}");
    let mut decided: Vec<u64> = merged
        .iter()
        .flat_map(|report| place.json_lines(report))
        .map(|record| record["row"].as_u64().unwrap())
        .collect();
    decided.sort_unstable();
    assert_eq!(decided, (1..=ROWS).collect::<Vec<_>>());
}

#[test]
fn a_report_says_which_shards_it_has_and_which_are_missing() {
    let place = Workplace::new();
    place.file("a.csv", users(40));
    for (shard, report) in [("0/4", "r0.ndjson"), ("3/4", "r3.ndjson"), ("1/2", "other.ndjson")] {
        place.run(&["push", "--sandbox", "a.csv", "--shard", shard, "--report", report]).ends_with(0);
    }
    let ran = place.run(&["report", "r0.ndjson", "r3.ndjson"]).ends_with(0);
    let ran = ran.says("a.csv: no report of shards 1-2 of 4: what no other report has of it is in no figure");
    assert!(ran.stdout.contains("shards 0, 3 of 4 of a.csv\n"), "{ran}");
    assert!(ran.stdout.contains("r3.ndjson (shard 3/4)\n"), "{ran}");
    let one = place.run(&["report", "r0.ndjson"]).ends_with(0).says("no report of shards 1-3 of 4");
    assert!(one.stdout.contains("shard 0 of 4 of a.csv\n"), "{one}");
    let ran = place.run(&["report", "r0.ndjson", "other.ndjson", "--html", "page.html"]).ends_with(0);
    ran.says("a.csv: there are reports of shards of 2 and of 4: a row is in one of each");
    let page = place.read("page.html");
    for text in ["shard 1 of 2 and shard 0 of 4 of a.csv", "no report of shards 1-3 of 4", "shard 0/4"] {
        assert!(page.contains(text), "{text}");
    }
    // A shard that was stopped is there, and not all of it.
    let stops = ["push", "--sandbox", "a.csv", "--report", "r1.ndjson", "--shard", "1/4", "--max-failures", "1"];
    place.run(&[&stops[..], &["--sandbox-fault", "code=55004:1", "--in-flight", "1"]].concat()).ends_with(4);
    let ran = place.run(&["report", "r0.ndjson", "r1.ndjson", "r3.ndjson", "--html", "torn.html"]).ends_with(0);
    let torn = "a.csv: shard 1 of 4 did not come to the end, so that rows are in no figure: go on with `--resume`";
    ran.says("no report of shard 2 of 4").says(torn);
    assert!(place.read("torn.html").contains("shards 0-1, 3 of 4 of a.csv; not finished: shard 1 of 4"));
    let shards = &place.run(&["report", "r1.ndjson", "--json"]).ends_with(0).says(torn).json()["shards"][0]["by_count"];
    assert_eq!(shards["4"]["unfinished"], json!([1]));
    // Who was not divided hears nothing of it.
    place.run(&["push", "--sandbox", "a.csv", "--report", "all.ndjson", "--summary", "s.json"]).ends_with(0);
    place.run(&["report", "all.ndjson", "--json"]).ends_with(0).never_says("shard");
    assert!(!place.read("s.json").contains("shard"));
}

/// Which rows a check takes, by source and number, with what is said of them.
fn checked(place: &Workplace, arguments: &[&str]) -> Vec<(String, u64, String)> {
    let all = [&["check", "--report", "r.ndjson", "--force", "--report-all", "--fail-on", "none"], arguments].concat();
    let ran = place.run(&all).ends_with(0);
    let records = place.json_lines("r.ndjson");
    assert!(ran.stderr.contains(&format!("{} rows", records.len())), "{ran}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records
        .iter()
        .map(|record| (text(&record["source"]), record["row"].as_u64().unwrap(), text(&record["outcome"])))
        .collect()
}

#[test]
fn the_shards_of_every_format_are_all_rows_and_each_row_is_in_one() {
    let place = Workplace::new();
    let euids = ["7", "007", "x", "", "8", "9223372036854775807", "0", "12", "13", "14", "15", "16"];
    let ids = ["a", " a ", "NULL", "", "b", "1E5", "c", "d", "é", "f", "g", "h"];
    let row = |euid: &str, id: &str| json!({"euid": euid, "user_id": id, "email": "a@example.com"}).to_string();
    let rows: Vec<String> = euids.iter().zip(ids).map(|(euid, id)| row(euid, id)).collect();
    place.file("a.ndjson", rows.join("\n") + "\nno json\n[1]\n");
    place.file("b.json", format!("[{},3]", rows.join(",")));
    let csv: String = euids.iter().zip(ids).map(|(euid, id)| format!("{euid},{id},a@example.com\n")).collect();
    place.file("c.csv", format!("euid,user_id,email\n{csv}1,2\n\"open\n"));
    let inputs = ["a.ndjson", "b.json", "c.csv"];
    let by_euid: &[&str] = &["--contacts", "email"];
    let by_id: &[&str] = &["--contacts", "email", "--identify-by", "user_id"];
    let mut looked_at = 0;
    for options in [
        by_euid.to_vec(),
        by_id.to_vec(),
        [by_euid, &["--skip", "5", "--limit", "20"]].concat(),
        [by_id, &["--skip", "3"]].concat(),
    ] {
        let all = checked(&place, &[&options[..], &inputs].concat());
        for count in [1, 2, 3, 5] {
            let mut shards: Vec<_> = (0..count)
                .flat_map(|number| {
                    let shard = format!("{number}/{count}");
                    checked(&place, &[&options[..], &inputs, &["--shard", &shard]].concat())
                })
                .collect();
            let mut all = all.clone();
            all.sort();
            shards.sort();
            assert_eq!(shards, all, "{options:?}, {count} shards");
            looked_at += all.len();
        }
    }
    assert!(looked_at > 400, "{looked_at}");
}

#[test]
fn rows_of_one_user_stand_in_one_shard_wherever_they_come_from() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n7,a@example.com\n007,b@example.com\n 7 ,c@example.com\n");
    place.file(
        "b.ndjson",
        "{\"euid\":7,\"email\":\"d@example.com\"}\n{\"euid\":\"07\",\"contacts\":{\"email\":\"e\"}}\n",
    );
    place.file("c.json", "[{\"euid\":7,\"email\":\"f@example.com\"}]");
    let inputs = ["a.csv", "b.ndjson", "c.json"];
    let rows: Vec<usize> = ["0/5", "1/5", "2/5", "3/5", "4/5"]
        .map(|shard| checked(&place, &[&inputs[..], &["--shard", shard]].concat()).len())
        .to_vec();
    // As the documentation says: SplitMix64 of 7, modulo 5.
    assert_eq!(rows, [0, 0, 6, 0, 0]);
}

#[test]
fn limits_count_within_a_shard_but_the_least_rows_of_an_input() {
    let place = Workplace::new().variable("CONTACTSYNC_SHARD", "1/4");
    let rows = |clears: u64| -> String {
        let row = |row: u64| if row <= clears { format!("{row},\n") } else { format!("{row},u{row}@example.com\n") };
        std::iter::once("euid,email\n".to_owned()).chain((1..=100).map(row)).collect()
    };
    place.file("a.csv", rows(100));
    let push = ["push", "--sandbox", "a.csv", "--force", "--report", "r.ndjson", "--summary", "-"];
    let with = |more: &[&str]| place.run(&[&push[..], more].concat());
    let own = with(&["--dry-run", "--empty", "clear", "--max-clears", "none"]).ends_with(0).json();
    let rows_of_shard = own["rows_read"].as_u64().unwrap();
    assert!((10..40).contains(&rows_of_shard) && own["shard"] == "1/4", "{own}");
    with(&["--empty", "clear", "--max-clears", &(rows_of_shard - 1).to_string()])
        .ends_with(2)
        .says(&format!("{rows_of_shard} of {rows_of_shard} valid rows would clear a contact"));
    with(&["--empty", "clear", "--max-clears", &rows_of_shard.to_string()]).ends_with(0);
    place.file("a.csv", rows(0));
    with(&["--min-rows", "100"]).ends_with(0).says(&format!("{rows_of_shard} rows of shard 1/4 read in"));
    with(&["--min-rows", "101"]).ends_with(2).says("the input has 100 rows, fewer than the 101 of `--min-rows`");
    // The rows of all the input, of which a shard has its part.
    let part = with(&["--skip", "20", "--limit", "40"]).ends_with(0).json()["rows_read"].as_u64().unwrap();
    assert!((3..30).contains(&part), "{part}");
    // An option beats the environment, and so does one of a file.
    let all = with(&["--shard", "0/1"]).ends_with(0).json();
    assert_eq!((&all["rows_read"], &all["shard"]), (&json!(100), &json!("0/1")));
    // Commands that read no rows of inputs pass it over.
    place.run(&["replay", "r.ndjson", "--dry-run", "--all"]).ends_with(0);
    place.run(&["report", "r.ndjson"]).ends_with(0);
    let place = Workplace::new();
    place.file("a.csv", rows(0));
    place.file("c.toml", "shard = \"1/4\"\n");
    assert_eq!(
        place.run(&[&push[..], &["--config", "c.toml"]].concat()).ends_with(0).json()["rows_read"],
        rows_of_shard
    );
}

#[test]
fn what_is_no_shard_is_refused() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    for (shard, said) in [
        ("4/4", "shards are counted from 0: the last of 4 is 3/4"),
        ("1", "say a shard as K/N"),
        ("-1/4", "say a shard as K/N"),
        ("0/0", "there are 1 to 100000 shards"),
        ("/8", "say a shard as K/N"),
    ] {
        for command in ["push", "check", "verify"] {
            place.run(&[command, "a.csv", &format!("--shard={shard}")]).ends_with(2).says(said);
        }
    }
    place.run(&["replay", "r.ndjson", "--shard", "0/4"]).ends_with(2).says("unexpected argument '--shard'");
    // Begun at once, they don't stand in each other's way.
    let runs = ["0/2", "1/2"].map(|shard| {
        Running::start(&mut place.command(&["push", "--sandbox", "a.csv", "--rate", "unlimited", "--shard", shard]))
    });
    for run in runs {
        run.finish().ends_with(0);
    }
    let names = fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let reports: Vec<String> = names.filter(|name| name.ends_with("-of-2.ndjson")).collect();
    assert_eq!(reports.len(), 2, "{reports:?}");
}
