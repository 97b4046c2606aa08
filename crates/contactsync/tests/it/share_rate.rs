//! A rate that several processes share: what is refused before anything is touched.

use std::time::Duration;

use quota::{Place, Quota, Secrets, Terms, Wait, Which};

use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace},
};

/// A process that shares a rate of a file, and is there until it leaves.
pub(crate) struct Other {
    runtime: tokio::runtime::Runtime,
    quota: Quota,
}

impl Other {
    fn at(place: &Workplace, file: &str, which: Which, label: &str) -> Self {
        Self::sharing(Place::File(place.path(file)), which, label, Secrets::default())
    }

    pub(crate) fn sharing(place: Place, which: Which, label: &str, secrets: Secrets) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let terms = Terms::new(Duration::from_millis(1_234), Duration::ZERO, label.to_owned());
        let mut quota = Quota::new(place, which, "other".to_owned(), terms, secrets).unwrap();
        runtime.block_on(quota.ask(1, Wait::default())).unwrap();
        Self { runtime, quota }
    }

    pub(crate) fn leave(mut self) {
        self.runtime.block_on(self.quota.leave()).unwrap();
    }
}

/// A folder with an input, whose program sends to this service.
fn place(service: &Service) -> Workplace {
    let place = service.workplace();
    place.file("a.csv", users(20));
    place
}

/// What was said of what went wrong.
pub(crate) fn failure(ran: &Ran) -> String {
    let lines = ran.stderr.lines().skip_while(|line| !line.starts_with("error: "));
    lines.collect::<Vec<_>>().join("\n")
}

/// A command, the rate that it names, its status, and which rates it uses: that of sending and that of reading.
type Case = (&'static [&'static str], [&'static str; 2], i32, [bool; 2]);

/// How often the rates of a file were asked for: that of sending and that of reading.
fn asked(place: &Workplace) -> [u64; 2] {
    let written = place.read_if_there("q.rate");
    let Some(contents) = written.lines().nth(1) else { return [0; 2] };
    let contents: serde_json::Value = serde_json::from_str(contents).unwrap();
    ["sending", "reading"].map(|rate| contents[rate]["sequence"].as_u64().unwrap())
}

#[test]
fn whatever_asks_the_service_takes_its_starts_from_the_file_and_leaves() {
    let service = Service::with_faults(&["unknown:1"]);
    let place = place(&service);
    place.file("ids.csv", "user_id,email\ncrm-1,a@example.com\n");
    let by_ids = ["--identify-by", "user_id"];
    place.run(&[&["push", "ids.csv", "--report", "ids.ndjson"][..], &by_ids].concat()).ends_with(1);
    service.set_faults(&["code=-1:1"]);
    let fails = ["push", "a.csv", "--report", "failed.ndjson", "--retries", "0", "--outage-wait", "0"];
    place.run(&fails).ends_with(1);
    // Each names a rate of its own: of those that went before nobody is there any more.
    let cases: [Case; 7] = [
        (&["push", "a.csv"], ["--rate", "500/s"], 0, [true, false]),
        (&["replay", "failed.ndjson"], ["--rate", "600/s"], 0, [true, false]),
        (&["verify", "a.csv"], ["--profile-rate", "300/s"], 0, [false, true]),
        (&["push", "a.csv", "--compare-service"], ["--profile-rate", "200/s"], 0, [true, true]),
        (&["push", "a.csv", "--compare-service", "--dry-run"], ["--rate", "1/h"], 0, [false, true]),
        // Ids are asked for before a report is begun.
        (
            &["replay", "ids.ndjson", "--reason", "id_unknown", "--identify-by", "user_id"],
            ["--rate", "700/s"],
            3,
            [true, false],
        ),
        (&["push", "ids.csv", "--identify-by", "user_id"], ["--rate", "800/s"], 3, [true, false]),
    ];
    for (number, (command, rate, status, uses)) in cases.into_iter().enumerate() {
        service.set_faults(if status == 0 { &[][..] } else { &["register/code=40050:1"] });
        let before = asked(&place);
        let report = format!("{number}.ndjson");
        place.run(&[command, &rate, &["--share-rate", "q.rate", "--report", &report]].concat()).ends_with(status);
        let after = asked(&place);
        // A shared rate is asked at once and from then on, also where nothing is wanted of it.
        for which in [0, 1].into_iter().filter(|which| uses[*which]) {
            assert!(after[which] > before[which], "{command:?}: {before:?}, {after:?}");
        }
        assert_eq!(place.exists(&report), !command.contains(&"--dry-run") && !command.contains(&"ids.ndjson"));
    }
    assert!(place.read("q.rate").starts_with("contactsync shared rate 1 "));
}

#[test]
fn another_rate_is_refused_before_anything_is_touched() {
    let service = Service::with_faults(&[]);
    let place = place(&service);
    let other = Other::at(&place, "q.rate", Which::Sending, "50/s");
    let push = ["push", "a.csv", "--share-rate", "q.rate", "--report", "r.ndjson", "--lock", "l"];
    let ran = place.run(&push).ends_with(2);
    insta::assert_snapshot!(failure(&ran), @r"
    error: the file q.rate: 1 other process shares it at the rate 50/s, and `--rate` is 100/s here; nothing was sent
    hint: name the same `--rate` for all, or share another one elsewhere; a process that was killed is forgotten after ten seconds
    ");
    place.file("failed.ndjson", "");
    place.run(&["replay", "failed.ndjson", "--share-rate", "q.rate"]).ends_with(2).says("at the rate 50/s");
    assert!(!place.exists("r.ndjson") && !place.exists("l") && service.record().stats().requests == 0);
    // The rate of reading is another one, and a plan that reads nobody names none.
    let verify = ["verify", "a.csv", "--share-rate", "q.rate", "--report", "v.ndjson", "--settle", "0"];
    place.run(&verify).ends_with(1);
    place.run(&["push", "a.csv", "--dry-run", "--share-rate", "q.rate"]).ends_with(0);
    other.leave();
    place.run(&push).ends_with(0);

    let other = Other::at(&place, "q.rate", Which::Reading, "40/m");
    let verify = ["verify", "a.csv", "--share-rate", "q.rate", "--report", "w.ndjson"];
    let ran = place.run(&verify).ends_with(2);
    insta::assert_snapshot!(failure(&ran), @r"
    error: the file q.rate: 1 other process shares it at the rate 40/m, and `--profile-rate` is 900/m here; nothing was sent
    hint: name the same `--profile-rate` for all, or share another one elsewhere; a process that was killed is forgotten after ten seconds
    ");
    assert!(!place.exists("w.ndjson"));
    for plan in [None, Some("--dry-run")] {
        let push = ["push", "a.csv", "--compare-service", "--share-rate", "q.rate", "--report", "w.ndjson"];
        place.run(&push.into_iter().chain(plan).collect::<Vec<_>>()).ends_with(2).says("at the rate 40/m");
    }
    place.run(&["push", "a.csv", "--share-rate", "q.rate", "--report", "x.ndjson"]).ends_with(0);
    other.leave();
    place.run(&verify).ends_with(0);
}

#[test]
fn who_was_told_to_wait_is_told_of_before_anything_starts() {
    let service = Service::with_faults(&[]);
    let place = place(&service);
    let mut other = Other::at(&place, "q.rate", Which::Sending, "100/s");
    let years = Wait { nanos: u64::MAX, asked: true };
    other.runtime.block_on(other.quota.ask(0, years)).unwrap();
    other.leave();
    let warned = "the service has asked all who share the rate to wait";
    let doctor = place.run(&["doctor", "--share-rate", "q.rate"]);
    assert!(doctor.stdout.contains(warned), "{doctor}");
    let before = service.record().stats().requests;
    let push = ["push", "a.csv", "--share-rate", "q.rate", "--outage-wait", "59m", "--summary", "s.json"];
    let ran =
        place.run(&push).ends_with(6).says("warning: the file q.rate: nothing starts for another 3600 s").says(warned);
    ran.says("the server asked all who share the rate to wait 35").says("hint: another process was told so");
    assert!(place.read("s.json").contains("\"stopped_by\":\"outage\""));
    assert_eq!(service.record().stats().requests, before);
}

#[test]
fn what_is_no_rate_can_t_be_shared() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    let cases: [(&[&str], &str); 4] = [
        (&["push", "a.csv", "--sandbox", "--rate", "unlimited"], "`--rate` is unlimited"),
        (&["push", "a.csv", "--dry-run", "--rate", "unlimited"], "`--rate` is unlimited"),
        (&["verify", "a.csv", "--sandbox", "--profile-rate", "unlimited"], "`--profile-rate` is unlimited"),
        (
            &["push", "a.csv", "--sandbox", "--compare-service", "--profile-rate", "unlimited"],
            "`--profile-rate` is unlimited",
        ),
    ];
    for (command, why) in cases {
        place.run(&[command, &["--share-rate", "q.rate"]].concat()).ends_with(2).says(why);
    }
    assert!(!place.exists("q.rate"));
    let ran = place.run(&["push", "a.csv", "--sandbox", "--rate", "unlimited", "--share-rate", "q.rate"]);
    insta::assert_snapshot!(failure(&ran), @r"
    error: `--rate` is unlimited: there is nothing to share by `--share-rate`
    hint: name the rate within which all processes are to keep together, as `--rate 100/s`
    ");
    let list = ["replay", "absent.ndjson", "--dry-run", "--rate", "unlimited", "--share-rate", "q.rate"];
    place.run(&list).ends_with(2).says("`--rate` is unlimited");
    // A verify sends nothing by that rate.
    let verify = ["verify", "a.csv", "--sandbox", "--settle", "0", "--share-rate", "q.rate"];
    let place = place.variable("CONTACTSYNC_RATE", "unlimited");
    place.run(&verify).ends_with(1);
}

#[test]
fn what_is_read_or_written_otherwise_is_no_file_of_a_rate() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    place.file("empty.csv", "");
    let written = place.read("a.csv");
    let push = |share: &'static str, further: &[&'static str]| {
        place.run(&[&["push", "a.csv", "empty.csv", "--sandbox", "--share-rate", share], further].concat())
    };
    push("a.csv", &[]).ends_with(2).says("--share-rate a.csv would overwrite the input a.csv");
    push("empty.csv", &[]).ends_with(2).says("--share-rate empty.csv would overwrite the input empty.csv");
    for (option, further) in
        [("--report", "--force"), ("--summary", "--force"), ("--state", "--refresh"), ("--lock", "--force")]
    {
        push("./x", &[option, "x", further]).ends_with(2).says("name the same file").says(option);
    }
    push("r.ndjson.run", &["--report", "r.ndjson"]).ends_with(2).says("name the same file");
    push("-", &[]).ends_with(2).says("it can't be standard output");
    push("", &[]).ends_with(2).says("`--share-rate`: a file, or redis://");
    push(" ", &[]).ends_with(2).says("`--share-rate`: a file, or redis://");
    for address in ["redis:here", "127.0.0.1:6379", "redis.example.com:6379/0", "example.com?key=a"] {
        push(address, &[]).ends_with(2).says("this looks like an address: write redis://HOST");
        assert!(!place.exists(address));
    }
    for setting in ["unlimited", "100", "100/s", "none"] {
        push(setting, &[])
            .ends_with(2)
            .says("`--share-rate` names where the rate is shared")
            .says("hint: the rate itself");
        assert!(!place.exists(setting));
    }
    push(".", &[]).ends_with(2).says(". is a folder").says("hint: name a file on a local disk");
    push("no/such/q.rate", &[]).ends_with(2).says("no/such/q.rate can't be made");
    assert_eq!((place.read("a.csv"), place.read("empty.csv")), (written, String::new()));
    assert!(!place.exists("x") && !place.exists("r.ndjson"));
    place.run(&["push", "a.csv", "--sandbox", "--share-rate", "./127.0.0.1:6379"]).ends_with(0);
    assert!(place.exists("127.0.0.1:6379"));
}

#[test]
fn a_password_in_the_url_is_refused_whatever_sets_it_and_never_repeated() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    let in_url = "a password in the URL can be seen in the process list: put it into CONTACTSYNC_REDIS_PASSWORD";
    let like_one = "this looks like an address: write redis://HOST";
    let urls = [
        ("redis://:hidden-word@127.0.0.1:1?key=k", in_url),
        ("rediss://me:hidden-word@localhost/0?key=k", in_url),
        ("redis:/me:hidden-word@localhost/0?key=k", like_one),
        ("me:hidden-word@localhost:6379/0?key=k", like_one),
        ("redis://me%3ahidden-word@localhost/0?key=k", in_url),
    ];
    let commands: [&[&str]; 5] = [
        &["push", "a.csv", "--sandbox"],
        &["push", "a.csv", "--dry-run"],
        &["verify", "a.csv", "--sandbox"],
        &["replay", "a.ndjson", "--sandbox"],
        &["replay", "a.ndjson", "--dry-run"],
    ];
    for (url, why) in urls {
        for command in commands {
            let typed = place.run(&[command, &["--share-rate", url]].concat());
            typed.ends_with(2).says(why).never_says("hidden-word");
        }
        let doctor = place.run(&["doctor", "--sandbox", "--share-rate", url]).ends_with(2).never_says("hidden-word");
        assert!(doctor.stdout.contains(&format!("FAIL  shared rate    `--share-rate`: {why}")), "{doctor}");
        place.file("own.toml", format!("share_rate = \"{url}\"\n"));
        let below = place.run(&["push", "a.csv", "--sandbox", "--config", "own.toml"]).ends_with(2);
        below.says(why).says("is set in own.toml").never_says("hidden-word");
        let shown = place.run(&["config", "show", "--config", "own.toml"]).ends_with(0).never_says("hidden-word");
        assert!(shown.stdout.lines().any(|line| line.starts_with("share_rate  ") && line.contains("  ********  ")));
    }
    let place = place.variable("CONTACTSYNC_SHARE_RATE", urls[0].0);
    let ran = place.run(&["push", "a.csv", "--sandbox", "-vv"]).ends_with(2).never_says("hidden-word");
    insta::assert_snapshot!(failure(&ran), @r"
    error: `--share-rate`: a password in the URL can be seen in the process list: put it into CONTACTSYNC_REDIS_PASSWORD
    hint: `share_rate` is set in the environment variable CONTACTSYNC_SHARE_RATE
    ");
}

#[test]
fn the_current_folder_says_no_place_and_a_named_file_does() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    place.file("contactsync.toml", "share_rate = \"q.rate\"\n");
    let ran = place.run(&["push", "a.csv", "--sandbox"]).ends_with(2);
    ran.says("it may not set `share_rate`");
    place.file("own.toml", "share_rate = \"redis://me@10.0.0.1/1?key=night\"\n");
    let shown = place.run(&["config", "show", "--config", "own.toml"]).ends_with(0);
    let line = shown.stdout.lines().find(|line| line.starts_with("share_rate  ")).unwrap();
    assert!(line.contains("  redis://me@10.0.0.1/1?key=night  ") && line.ends_with("  own.toml"), "{line}");
}

#[test]
fn a_file_that_nobody_typed_is_warned_of_where_its_folder_isnt_told_and_a_fault_says_what_sets_it() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    let place = place.variable("CONTACTSYNC_SHARE_RATE", "q.rate");
    let warning = "`share_rate` is q.rate in the environment variable CONTACTSYNC_SHARE_RATE: only jobs that start in this \
                   folder share it; name its full path";
    place.run(&["push", "a.csv", "--sandbox"]).ends_with(0).says(warning);
    let full = place.path("q.rate").display().to_string();
    let typed = ["push", "a.csv", "--sandbox", "--share-rate", "q.rate"];
    for ran in [place.run(&typed), place.run(&["push", "a.csv", "--sandbox", "--share-rate", &full])] {
        ran.ends_with(0).never_says("only jobs that start");
    }
    let place = place.variable("CONTACTSYNC_SHARE_RATE", "absent/q.rate");
    let ran = place.run(&["push", "a.csv", "--sandbox"]).ends_with(2);
    ran.says("absent/q.rate can't be made")
        .says("`share_rate` is set in the environment variable CONTACTSYNC_SHARE_RATE");
}

#[test]
fn a_file_that_something_else_writes_to_in_mid_run_ends_it() {
    let service = Service::with_faults(&["hang:1"]);
    let place = place(&service);
    let push = ["push", "a.csv", "--share-rate", "q.rate", "--report", "r.ndjson", "--grace", "0", "--retries", "0"];
    let mut running = Running::start(&mut place.command(&push));
    running.until("a request is under way", || service.record().stats().requests > 0);
    std::fs::rename(place.file("other", "something else"), place.path("q.rate")).unwrap();
    let ran = running.finish().ends_with(6);
    insta::assert_snapshot!(failure(&ran).lines().take(2).collect::<Vec<_>>().join("\n"), @r"
    error: stopped: the shared rate is refused: q.rate is no file of a shared rate: nothing was changed in it
    hint: `contactsync doctor` says what is wrong with `--share-rate`; then resume
    ");
    assert_eq!(place.read("q.rate"), "something else");
}

#[test]
fn the_doctor_says_whether_a_file_can_be_asked() {
    let place = Workplace::new();
    let ran = place.run(&["doctor", "--sandbox", "--rate", "30/m", "--share-rate", "q.rate"]).ends_with(0);
    let line =
        ran.stdout.lines().find(|line| line.starts_with("ok    shared rate    the file q.rate answers in ")).unwrap();
    assert!(line.ends_with(" ms, nobody shares it at another rate than 30/m"), "{line}");
    let other = Other::at(&place, "q.rate", Which::Sending, "50/s");
    let configured = place.variable("CONTACTSYNC_SHARE_RATE", "q.rate");
    let ran = configured.run(&["doctor", "--sandbox"]).ends_with(2);
    let fault = "FAIL  shared rate    the file q.rate: 1 other process shares it at the rate 50/s, and `--rate` is 100/s here\n";
    assert!(ran.stdout.contains(fault), "{ran}");
    other.leave();
    for (wrong, why) in [("a.txt", "a.txt is no file of a shared rate"), (".", ". is a folder: name a file in it")] {
        configured.file("a.txt", "something else");
        let ran = configured.run(&["doctor", "--sandbox", "--share-rate", wrong]).ends_with(2);
        assert!(ran.stdout.contains(&format!("FAIL  shared rate    `--share-rate`: {why}")), "{ran}");
    }
    let ran = configured.run(&["doctor", "--sandbox", "--rate", "unlimited"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  shared rate    `--rate` is unlimited"), "{ran}");
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_build_without_redis_names_the_feature() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    let ran = place.run(&["push", "a.csv", "--sandbox", "--share-rate", "redis://127.0.0.1:1?key=k"]).ends_with(2);
    insta::assert_snapshot!(failure(&ran), @r"
    error: `--share-rate`: this build can't speak with Redis: it lacks the feature `redis`
    hint: build it with `--features redis`, or share the rate by a file
    ");
    let help = place.run(&["push", "--help"]).ends_with(0).stdout;
    assert!(help.contains("needs a build with the feature redis") && !help.contains("redis://"), "{help}");
}
