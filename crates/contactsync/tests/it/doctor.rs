//! What a push needs, looked at without sending a contact.

use rustix::process::Signal;
use sandbox::{ProfileShape, SandboxOptions};

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

#[test]
fn where_all_is_well_every_line_says_so_and_nothing_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(1_000));
    let ran = place.run(&["doctor", "a.csv", "--report", "r.ndjson"]).ends_with(0).never_says("sandbox-secret");
    assert!(ran.stdout.lines().all(|line| line.starts_with("ok    ")), "{ran}");
    for expected in [
        "configuration",
        "credentials",
        "key from the environment variable ENGAGELAB_MA_API_KEY",
        "127.0.0.1 is known, addresses: 1",
        "it answers (HTTP ",
        "can be written to",
        "for some 1001 rows",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{ran}");
    }
    assert!(!place.exists("r.ndjson") && service.record().stats().euids == 0);
    place.run(&["doctor", "--sandbox"]).ends_with(0);
}

#[test]
fn what_is_wrong_is_named_with_what_to_do_and_the_first_fault_decides() {
    let nothing = Workplace::new().variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9");
    let ran = nothing.run(&["doctor", "--report", "no/such/r.ndjson", "absent.csv"]).ends_with(2);
    for expected in [
        "FAIL  credentials    no credentials",
        "to try without credentials: `--sandbox`",
        "FAIL  connection ",
        "FAIL  report         no/such can't be written to",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{ran}");
    }
    let place =
        Workplace::new().variable("ENGAGELAB_MA_API_KEY", "k").variable("ENGAGELAB_MA_API_SECRET", "hidden-word");
    let unknown = ["doctor", "--base-url", "https://no-such-host.invalid"];
    let ran = place.run(&unknown).ends_with(6).never_says("hidden-word");
    assert!(ran.stdout.contains("FAIL  name           no-such-host.invalid can't be looked up"), "{ran}");
    let plain = place.run(&["doctor", "--base-url", "http://example.com"]).ends_with(2);
    assert!(plain.stdout.contains("FAIL  target ") && plain.stdout.contains("--allow-insecure-http"), "{plain}");
}

/// A setting of the nightly job that its push refuses.
#[test]
fn the_place_of_the_metrics_is_looked_at() {
    let place = Workplace::new();
    place.file("well.toml", "metrics_file = \"night.prom\"\n");
    place.file("ill.toml", "metrics_file = \"nosuch/night.prom\"\n");
    place.file("a.csv", users(1));
    let ran = place.run(&["doctor", "--sandbox", "--config", "well.toml"]).ends_with(0);
    assert!(ran.stdout.contains("ok    metrics file   . can be written to"), "{ran}");
    assert!(!place.exists("night.prom"));
    let ran = place.run(&["doctor", "--sandbox", "--config", "ill.toml"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  metrics file   nosuch can't be written to"), "{ran}");
    place.run(&["push", "a.csv", "--sandbox", "--config", "ill.toml"]).ends_with(2);
    let ran = place.run(&["doctor", "--sandbox", "--metrics-file", "."]).ends_with(2);
    assert!(ran.stdout.contains("is a folder"), "{ran}");
}

#[test]
fn a_shard_is_told_and_one_that_is_none_refused_wherever_it_is_set() {
    let place = Workplace::new();
    place.file("a.csv", users(1_000));
    let ran = place.run(&["doctor", "a.csv", "--sandbox", "--shard", "3/4"]).ends_with(0);
    assert!(ran.stdout.contains("ok    shard          3/4, counted from 0: the other 3 are other runs'\n"), "{ran}");
    assert!(ran.stdout.contains("for some 251 rows"), "{ran}");
    for shard in ["4/4", "$(JOB_COMPLETION_INDEX)/8"] {
        place.file("own.toml", format!("shard = \"{shard}\"\n"));
        let ran = place.run(&["doctor", "--sandbox", "--config", "own.toml"]).ends_with(2);
        let ran = ran.says("`shard` is set in own.toml").says(shard);
        assert_eq!(ran.stderr.contains("is the Job an Indexed one?"), shard.contains('$'), "{ran}");
    }
    let configured = place.variable("CONTACTSYNC_SHARD", "4/4");
    let ran = configured.run(&["doctor", "--sandbox"]).ends_with(2);
    ran.says("shards are counted from 0: the last of 4 is 3/4").says("environment variable CONTACTSYNC_SHARD");
}

#[test]
fn a_pipe_or_a_device_is_neither_opened_nor_taken_for_a_folder() {
    let place = Workplace::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path("pipe.ndjson"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for report in ["pipe.ndjson", "/dev/null"] {
        let ran = place.run(&["doctor", "--sandbox", "--report", report]).ends_with(0);
        let line = format!("ok    report         {report} is a pipe or a device: no such report can be resumed");
        assert!(ran.stdout.contains(&line) && !ran.stdout.contains("room"), "{ran}");
    }
    place.file("folder/a", "");
    let ran = place.run(&["doctor", "--sandbox", "--report", "folder"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  report         folder is a folder"), "{ran}");
}

#[test]
fn a_report_that_another_run_writes_is_noticed() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let mut running = Running::start(&mut place.command(&["push", "a.csv", "--report", "r.ndjson"]));
    running.until("a request is under way", || service.record().stats().requests > 0);
    let ran = place.run(&["doctor", "--report", "r.ndjson"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  report         another run is writing r.ndjson"), "{ran}");
    running.signal(Signal::KILL);
    running.finish();
    let ran = place.run(&["doctor", "--report", "r.ndjson"]).ends_with(0);
    assert!(ran.stdout.contains("ok    report         r.ndjson exists, of a run: go on with `--resume`"), "{ran}");
}

#[test]
fn a_user_is_read_back_and_the_answers_shape_told_without_values() {
    for shape in ProfileShape::ALL {
        let service = Service::start(SandboxOptions { profile_shape: shape, ..SandboxOptions::default() });
        let place = service.workplace();
        place.file("a.csv", "euid,email,mobile_phone\n7,ann@example.com,+12015550101\n");
        place.run(&["push", "a.csv"]).ends_with(0);
        let status = if shape == ProfileShape::Unknown { 6 } else { 0 };
        let ran = place.run(&["doctor", "--euid", "7"]).ends_with(status);
        for value in ["ann@example.com", "12015550101", "sandbox-secret"] {
            assert!(!ran.stdout.contains(value) && !ran.stderr.contains(value), "{ran}");
        }
        let said = match shape {
            ProfileShape::Unknown => {
                "FAIL  user           read, but not understood: an entry of \"data\" has no \"euid\""
            }
            _ => "ok    user           read and understood; contacts that are there: \"email\", \"mobile_phone\"\n",
        };
        assert!(ran.stdout.contains(said), "{said}\n{ran}");
        assert!(ran.stdout.contains("shape of the answer, without values:\n"), "{ran}");
        let asks = ran.stdout.contains("please send the lines above");
        assert_eq!(asks, shape == ProfileShape::Unknown, "{ran}");
        let ran = place.run(&["doctor", "--euid", "8"]).ends_with(0);
        let nobody = "ok    user           read and understood: the service has no entry for this EUID\n";
        assert!(ran.stdout.contains(nobody), "{ran}");
    }
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n7,ann@example.com\n");
    place.run(&["push", "a.csv"]).ends_with(0);
    let ran = place.run(&["doctor", "--euid", "7"]).ends_with(0);
    let shape =
        ["object", "  \"code\": integer", "  \"data\": array of 1", "    1 × object", "      \"contacts\": object"];
    for line in shape {
        assert!(ran.stdout.contains(&format!("\n{:21}{line}\n", "")), "{line}\n{ran}");
    }
}

#[test]
fn why_a_user_was_not_read_is_told() {
    let service = Service::with_faults(&["profile/status=404:1"]);
    let place = service.workplace();
    let ran = place.run(&["doctor", "--euid", "7"]).ends_with(6);
    assert!(ran.stdout.contains("FAIL  user           not read (HTTP 404)"), "{ran}");
    assert!(ran.stdout.contains(&format!("\n{:21}no JSON (", "")), "{ran}");
    service.set_faults(&["profile/code=55108:1"]);
    let ran = place.run(&["doctor", "--euid", "7"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  user           the read is refused (HTTP 200, code 55108: "), "{ran}");
    service.set_faults(&["profile/drop:1"]);
    place.run(&["doctor", "--euid", "7"]).ends_with(6);
    let refused = service.workplace().variable("ENGAGELAB_MA_API_SECRET", "hidden-word");
    let ran = refused.run(&["doctor", "--euid", "7"]).ends_with(3).never_says("hidden-word");
    assert!(ran.stdout.contains("refuses the credentials or the project (HTTP 200, code 40050"), "{ran}");
    let without = Workplace::new().variable("ENGAGELAB_MA_BASE_URL", &service.url());
    let ran = without.run(&["doctor", "--euid", "7"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  user           not read: no credentials"), "{ran}");
    place.run(&["doctor", "--euid", "x"]).ends_with(2);
    place.run(&["doctor", "--sandbox", "--euid", "7"]).ends_with(2).says("--sandbox");
}
