//! A state that is only asked: a dry run says what the run itself would do.

use crate::service::{Service, users};

const STATE: [&str; 4] = ["--state", "s.state", "--rate", "unlimited"];

#[test]
fn a_list_of_a_replay_leaves_alone_what_was_set_since() {
    let service = Service::with_faults(&["code=-1:1"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.run(&["push", "a.csv", "--retries", "0", "--rate", "unlimited", "--report", "a.ndjson"]).ends_with(1);
    let list = ["replay", "a.ndjson", "--dry-run"];
    let asked = [&list[..], &STATE].concat();
    let none = place.run(&asked).ends_with(0).says("there is no state s.state yet").says("3 rows would be sent");
    assert_eq!(none.stdout.lines().count(), 3);
    assert!(!place.exists("s.state"));
    service.set_faults::<&str>(&[]);
    place.file("b.csv", "euid,email\n2,new@example.com\n");
    place.run(&[&["push", "b.csv", "--report", "b.ndjson"], &STATE[..]].concat()).ends_with(0);
    place.run(&list).ends_with(0).says("3 rows would be sent");
    let said = "2 rows would be sent; left alone: 0 superseded, 1 expired: decided too long ago (--max-age), or before \
                their user was last set (--state)";
    place.run(&asked).ends_with(0).says(said);
    let elsewhere = [&asked[..], &["--sandbox"]].concat();
    place.run(&elsewhere).ends_with(2).says("belongs to");
    let replay = [&["replay", "a.ndjson", "--report", "again.ndjson"], &STATE[..]].concat();
    place
        .run(&replay)
        .ends_with(0)
        .says("1 failed or differed and were left alone: decided too long ago (--max-age), or before");
    assert_eq!(service.record().user(2).unwrap()["contacts"]["email"], "new@example.com");
}

#[test]
fn a_plan_knows_a_key_that_is_at_hand() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.run(&[&["push", "a.csv", "--report", "a.ndjson"], &STATE[..]].concat()).ends_with(0);
    let plan = [&["push", "a.csv", "--dry-run"], &STATE[..]].concat();
    place.run(&plan).ends_with(0).says("  to send               0");
    // Without credentials nobody can say.
    let place = place.variable("ENGAGELAB_MA_API_KEY", "").variable("ENGAGELAB_MA_API_SECRET", "");
    place.run(&plan).ends_with(0);
    let why = "accepted under another API key; nothing was sent";
    let with = |config: &str, arguments: &[&str]| {
        place.file("c.toml", config);
        place.run(&[&plan[..], &["--config", "c.toml"], arguments].concat())
    };
    // No command is run for it.
    with("api_key_command = [\"sh\", \"-c\", \"touch asked; echo another-key\"]\n", &[]).ends_with(0);
    assert!(!place.exists("asked"));
    place.mode("c.toml", 0o600);
    with("api_key = \"sandbox-key\"\n", &[]).ends_with(0);
    with("api_key = \"another-key\"\n", &[])
        .ends_with(2)
        .says(why)
        .says("contactsync state rebind ")
        .says("s.state`, or");
    with("api_key = \"another-key\"\n", &["--accept-new-key"]).ends_with(0);
    place.file("key", "another-key\n");
    place.mode("key", 0o600);
    let place = place.variable("ENGAGELAB_MA_API_KEY_FILE", "key");
    place.run(&plan).ends_with(2).says(why);
    let replay = [&["replay", "a.ndjson", "--dry-run"], &STATE[..]].concat();
    place.run(&replay).ends_with(2).says(why);
    let place = place.variable("ENGAGELAB_MA_API_KEY_FILE", "").variable("ENGAGELAB_MA_API_KEY", "another-key");
    place.run(&plan).ends_with(2).says(why);
    assert_eq!(service.record().stats().requests, 3);
}
