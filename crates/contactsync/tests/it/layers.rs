use crate::support::{Ran, Workplace};

/// What `config show` says of a key: its value and where it comes from.
#[track_caller]
fn shown(ran: &Ran, key: &str) -> (String, String) {
    let line = ran.stdout.lines().find(|line| line.split_whitespace().next() == Some(key));
    let line = line.unwrap_or_else(|| panic!("no {key}\n{ran}"));
    let rest = line[key.len()..].trim_start();
    let (value, source) = rest.split_once("  ").unwrap_or((rest, ""));
    (value.trim().to_owned(), source.trim().to_owned())
}

#[track_caller]
fn rate(place: &Workplace, arguments: &[&str]) -> (String, String) {
    let arguments: Vec<&str> = ["config", "show"].iter().chain(arguments).copied().collect();
    shown(&place.run(&arguments).ends_with(0), "rate")
}

#[test]
fn each_layer_beats_the_ones_below() {
    let place = Workplace::new();
    assert_eq!(rate(&place, &[]), ("100/s".into(), "default".into()));
    let user = place.file("home/.config/contactsync/config.toml", "rate = \"1/s\"\n");
    assert_eq!(rate(&place, &[]), ("1/s".into(), user.display().to_string()));
    place.file("contactsync.toml", "rate = \"2/s\"\n");
    assert_eq!(rate(&place, &[]), ("2/s".into(), "contactsync.toml".into()));
    place.file("named.toml", "rate = \"3/s\"\n");
    assert_eq!(rate(&place, &["--config", "named.toml"]), ("3/s".into(), "named.toml".into()));
    let place = place.variable("CONTACTSYNC_RATE", "4/s");
    let variable = "the environment variable CONTACTSYNC_RATE";
    assert_eq!(rate(&place, &["--config", "named.toml"]), ("4/s".into(), variable.into()));
}

#[test]
fn a_flag_beats_a_bad_value_below() {
    let place = Workplace::new().variable("CONTACTSYNC_LIMIT", "nonsense").variable("CONTACTSYNC_SUMMARY", "-");
    place.file("a.csv", "euid,email\n1,a@example.com\n2,b@example.com\n");
    place
        .run(&["check", "a.csv"])
        .ends_with(2)
        .says("invalid value 'nonsense' for '--limit <ROWS>'")
        .says("hint: `limit` is set in the environment variable CONTACTSYNC_LIMIT");
    assert_eq!(place.run(&["check", "a.csv", "--limit", "1"]).ends_with(0).json()["rows_read"], 1);
}

#[test]
fn a_named_file_takes_the_place_of_the_folder_s() {
    let place = Workplace::new();
    place.file("contactsync.toml", "rate = \"2/s\"\n");
    place.file("named.toml", "");
    assert_eq!(rate(&place, &["--config", "named.toml"]).1, "default");
    let place = place.variable("CONTACTSYNC_CONFIG", "named.toml");
    assert_eq!(rate(&place, &[]).1, "default");
    place.run(&["config", "show", "--config", "absent.toml"]).ends_with(2).says("absent.toml can't be read");
}

#[test]
fn the_user_s_file_follows_xdg() {
    let place = Workplace::new();
    let file = place.file("elsewhere/contactsync/config.toml", "rate = \"7/s\"\n");
    let folder = place.path("elsewhere").display().to_string();
    let place = place.variable("XDG_CONFIG_HOME", &folder);
    assert_eq!(rate(&place, &[]), ("7/s".into(), file.display().to_string()));
    let place = place.variable("XDG_CONFIG_HOME", "elsewhere");
    assert_eq!(rate(&place, &[]).1, "default");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let place = Workplace::new().variable("CONTACTSYNC_RATE", "").variable("ENGAGELAB_MA_BASE_URL", "");
    assert_eq!(rate(&place, &[]).1, "default");
}

#[test]
fn a_profile_beats_the_rest_of_its_file() {
    let place = Workplace::new();
    let content = "rate = \"1/s\"\nretries = 1\n[profile.slow]\nrate = \"1/h\"\n[profile.fast]\nrate = \"9/s\"\n";
    place.file("contactsync.toml", content);
    assert_eq!(rate(&place, &["--profile", "slow"]), ("1/h".into(), "contactsync.toml, [profile.slow]".into()));
    assert_eq!(rate(&place, &[]).0, "1/s");
    let ran = place.run(&["config", "show", "--profile", "slow"]).ends_with(0);
    assert_eq!(shown(&ran, "retries").0, "1");
    place
        .run(&["config", "show", "--profile", "quick"])
        .ends_with(2)
        .says("no configuration file has the profile `quick`")
        .says("there are: fast, slow");
    let place = place.variable("CONTACTSYNC_PROFILE", "fast");
    assert_eq!(rate(&place, &[]).0, "9/s");
}

#[test]
fn every_kind_of_option_can_be_set_in_a_file() {
    let place = Workplace::new();
    place.file(
        "contactsync.toml",
        "trim = true\nall_columns = false\ncontacts = [\"email\", \"my_name\"]\nnull = [\"N/A\", \"-\"]\nverbose = 2\n\
         limit = 5\nmap = { \"E-mail Address\" = \"email\" }\nretry_code = [1, -2]\nmax_failures = \"5%\"\n",
    );
    let ran = place.run(&["config", "show"]).ends_with(0);
    for (key, value) in [
        ("trim", "true"),
        ("all_columns", "off"),
        ("contacts", "email, my_name"),
        ("null", "N/A, -"),
        ("verbose", "2"),
        ("limit", "5"),
        ("map", "E-mail Address=email"),
        ("retry_code", "1, -2"),
        ("max_failures", "5%"),
    ] {
        assert_eq!(shown(&ran, key).0, value, "{key}\n{ran}");
    }
    for wrong in
        ["trim = 1", "limit = [1]", "limit = 2000-01-01", "verbose = 9", "contacts = [\"a,b\"]", "rate = \"x\""]
    {
        place.file("contactsync.toml", wrong);
        let key = wrong.split(' ').next().unwrap();
        place.run(&["config", "show"]).ends_with(2).says(&format!("`{key}`"));
    }
}

#[test]
fn every_kind_of_option_can_be_set_by_a_variable() {
    let place = Workplace::new()
        .variable("CONTACTSYNC_TRIM", "true")
        .variable("CONTACTSYNC_FLEXIBLE", "0")
        .variable("CONTACTSYNC_CONTACTS", "email,my_name")
        .variable("CONTACTSYNC_NULL", "N/A\nnone, really")
        .variable("CONTACTSYNC_SANDBOX_FAULT", "drop:0.5")
        .variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9");
    let ran = place.run(&["config", "show"]).ends_with(0);
    for (key, value) in [
        ("trim", "true"),
        ("flexible", "off"),
        ("contacts", "email,my_name"),
        ("null", "N/A, none, really"),
        ("sandbox_fault", "drop:0.5"),
        ("base_url", "http://127.0.0.1:9"),
    ] {
        assert_eq!(shown(&ran, key).0, value, "{key}\n{ran}");
    }
    let place = Workplace::new().variable("CONTACTSYNC_TRIM", "maybe");
    place.run(&["config", "show"]).ends_with(2).says("CONTACTSYNC_TRIM is neither true nor false");
}

#[test]
fn a_flag_puts_aside_what_contradicts_it_below() {
    let place = Workplace::new().variable("CONTACTSYNC_SUMMARY", "-").variable("CONTACTSYNC_ALL_COLUMNS", "1");
    place.file("a.csv", "euid,email,shoe_size\n1,,42\n");
    assert_eq!(place.run(&["check", "a.csv"]).ends_with(0).json()["valid"], 1);
    assert_eq!(place.run(&["check", "a.csv", "--contacts", "email"]).ends_with(1).json()["rejected"], 1);
    let both = Workplace::new().variable("CONTACTSYNC_CONTACTS", "email").variable("CONTACTSYNC_ALL_COLUMNS", "1");
    both.file("a.csv", "euid,email\n1,a@example.com\n");
    both.run(&["check", "a.csv"]).ends_with(2).says("cannot be used with");
}

#[test]
fn what_an_option_needs_may_be_set_below() {
    let place = Workplace::new().variable("CONTACTSYNC_COLUMNS", "euid,email").variable("CONTACTSYNC_SUMMARY", "-");
    place.file("a.csv", "1,a@example.com\n");
    assert_eq!(place.run(&["check", "a.csv", "--no-header"]).ends_with(0).json()["valid"], 1);
    let place = Workplace::new().variable("CONTACTSYNC_REPORT_ALL", "1");
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place.run(&["check", "a.csv", "--report", "r.ndjson"]).ends_with(0);
    assert_eq!(place.json_lines("r.ndjson").len(), 1);
    place.run(&["check", "a.csv"]).ends_with(0);
}

#[test]
fn what_needs_another_option_and_is_set_for_all_jobs_is_left_out_without_it() {
    let settings = "profile_rate = \"300/m\"\ncompare = \"loose\"\nid_column = \"user\"\nallow_id = [\"None\"]\n\
                    max_new_ids = \"10\"\nomitted_kept = true\nrefresh = true\naccept_new_key = true\nyes = true\n\
                    report_vanished = \"gone.txt\"\nnotify_format = \"slack\"\n";
    let variables: Vec<(String, &str)> =
        [("PROFILE_RATE", "300/m"), ("MAX_NEW_IDS", "10"), ("ID_COLUMN", "user"), ("REFRESH", "1")]
            .map(|(name, value)| (format!("CONTACTSYNC_{name}"), value))
            .into();
    let set_in_variables = variables.iter().fold(Workplace::new(), |place, (name, value)| place.variable(name, value));
    let place = Workplace::new().variable("CONTACTSYNC_CONFIG", "all.toml");
    place.file("all.toml", settings);
    for place in [place, set_in_variables] {
        place.file("a.csv", "euid,email\n1,a@example.com\n");
        place.file("ids.csv", "user,email\nu1,a@example.com\n");
        place.run(&["check", "a.csv"]).ends_with(0);
        place.run(&["push", "--sandbox", "a.csv", "--dry-run"]).ends_with(0);
        place.run(&["push", "--sandbox", "a.csv", "--report", "r.ndjson"]).ends_with(0);
        place.run(&["replay", "--sandbox", "r.ndjson", "--report", "again.ndjson"]).ends_with(0);
        place.run(&["verify", "--sandbox", "a.csv", "--settle", "0s", "--report", "v.ndjson"]).ends_with(1);
        // With what it needs it holds.
        place.run(&["check", "ids.csv", "--identify-by", "user_id"]).ends_with(0);
        let shown_rate = shown(&place.run(&["config", "show"]).ends_with(0), "profile_rate").0;
        assert_eq!(shown_rate, "300/m");
        assert_eq!(shown(&place.run(&["config", "show"]).ends_with(0), "id_column").0, "user");
        // Typed it is a mistake.
        place.run(&["push", "--sandbox", "a.csv", "--compare", "loose"]).ends_with(2).says("--compare-service");
        place.run(&["check", "a.csv", "--id-column", "user"]).ends_with(2).says("--identify-by");
    }
}

#[test]
fn an_option_that_is_left_out_puts_none_aside() {
    let place = Workplace::new().variable("CONTACTSYNC_ID_COLUMN", "user").variable("CONTACTSYNC_REFRESH", "1");
    place.file("night.toml", "euid_column = \"number\"\ncompare_service = true\nprofile_rate = \"5/s\"\n");
    place.file("a.csv", "number,email\n1,a@example.com\n");
    let push = ["push", "--sandbox", "a.csv", "--config", "night.toml", "--summary", "-"];
    assert_eq!(place.run(&push).ends_with(0).json()["profile_requests"], 1);
}

#[test]
fn a_report_that_is_set_for_all_is_that_of_the_push() {
    let place = Workplace::new().variable("CONTACTSYNC_CONFIG", "night.toml");
    place.file("night.toml", "report = \"night.ndjson\"\nresume = true\nreport_all = true\n");
    place.file("a.csv", "euid,email\n1,a@example.com\nx,b@example.com\n");
    place.run(&["check", "a.csv"]).ends_with(1);
    assert!(!place.exists("night.ndjson"), "the check wrote the report of the push");
    let push = ["push", "--sandbox", "a.csv", "--sandbox-fault", "code=-1:1", "--retries", "0", "--outage-wait", "0"];
    place.run(&push).ends_with(1);
    let of_push = place.read("night.ndjson");
    place.run(&["check", "a.csv"]).ends_with(1);
    place.run(&["replay", "--sandbox", "night.ndjson"]).ends_with(0);
    assert_eq!(place.read("night.ndjson"), of_push);
    // Typed, it is obeyed.
    place.run(&["check", "a.csv", "--report", "check.ndjson"]).ends_with(1);
    assert_eq!(place.json_lines("check.ndjson").len(), 2);
    place.run(&["check", "a.csv", "--report-all"]).ends_with(2).says("--report");
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let place = Workplace::new();
    for (content, what, hint) in [
        ("raet = \"1/s\"", "contactsync.toml: unknown key `raet`", "did you mean `rate`?"),
        ("in-flight = 2", "unknown key `in-flight`", "did you mean `in_flight`?"),
        ("[profile.a]\nnonsense_key = 1", "[profile.a]: unknown key `nonsense_key`", "config show"),
        ("sandbox = true", "unknown key `sandbox`", "`--sandbox` is typed each time"),
        ("dry_run = true", "unknown key `dry_run`", "`--dry-run` is typed each time"),
        ("config = \"x\"", "unknown key `config`", "can't name another"),
    ] {
        place.file("contactsync.toml", content);
        place.run(&["config", "show"]).ends_with(2).says(what).says(hint);
    }
    place.file("contactsync.toml", "profile.a = 1");
    place.run(&["config", "show"]).ends_with(2).says("`profile.a` is a table of settings");
}

#[test]
fn a_key_of_another_command_is_no_fault() {
    let place = Workplace::new().variable("CONTACTSYNC_RETRIES", "9").variable("CONTACTSYNC_SUMMARY", "-");
    place.file("contactsync.toml", "rate = \"1/s\"\nsandbox_latency = \"1ms\"\n");
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place.run(&["check", "a.csv"]).ends_with(0);
}

#[test]
fn toml_errors_name_the_line_and_quote_nothing() {
    let place = Workplace::new();
    place.file("named.toml", "rate = \"1/s\"\napi_secret = \"hidden-word\" x\n");
    place
        .run(&["config", "show", "--config", "named.toml"])
        .ends_with(2)
        .says("named.toml, line 2: ")
        .never_says("hidden-word");
}

#[test]
fn the_current_folder_s_file_is_not_trusted() {
    let place = Workplace::new();
    for key in [
        "api_key = \"k\"",
        "api_secret = \"s\"",
        "api_key_command = [\"id\"]",
        "api_secret_command = [\"id\"]",
        "base_url = \"https://example.com\"",
        "region = \"usva\"",
        "proxy = \"http://example.com\"",
        "ca_cert = \"x.pem\"",
        "allow_insecure_http = true",
        "profile = \"x\"",
        "report = \"r.ndjson\"",
        "summary = \"s.json\"",
        "[profile.x]\nbase_url = \"https://example.com\"",
    ] {
        place.file("contactsync.toml", key);
        place
            .run(&["config", "show"])
            .ends_with(2)
            .says("contactsync.toml is read because it lies in the current folder, so it may not set `")
            .says("--config contactsync.toml");
    }
    place.file("contactsync.toml", "region = \"usva\"\nallow_insecure_http = true\nreport = \"r.ndjson\"\n");
    let ran = place.run(&["config", "show", "--config", "contactsync.toml"]).ends_with(0);
    assert_eq!(shown(&ran, "region"), ("usva".into(), "contactsync.toml".into()));
}

#[test]
fn a_file_that_holds_a_secret_must_be_private() {
    let place = Workplace::new();
    for content in [
        "api_key = \"k\"",
        "api_secret = \"s\"",
        "proxy = \"http://user:pass@example.com\"",
        "[profile.x]\napi_secret = \"s\"",
    ] {
        place.file("named.toml", content);
        place.run(&["config", "show", "--config", "named.toml"]).ends_with(0);
        for mode in [0o640, 0o604, 0o644] {
            place.mode("named.toml", mode);
            place
                .run(&["config", "show", "--config", "named.toml"])
                .ends_with(2)
                .says("named.toml holds a secret")
                .says("chmod 600 named.toml");
        }
    }
    place.file("named.toml", "rate = \"1/s\"\nproxy = \"http://example.com\"\n");
    place.mode("named.toml", 0o644);
    place.run(&["config", "show", "--config", "named.toml"]).ends_with(0);
}

#[test]
fn the_sandbox_is_typed_or_not_used() {
    let place = Workplace::new().variable("CONTACTSYNC_SANDBOX", "1");
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place.run(&["push", "a.csv"]).ends_with(2).says("CONTACTSYNC_SANDBOX is set").says("type `--sandbox`");
    let place = Workplace::new().variable("CONTACTSYNC_DRY_RUN", "1");
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    // Obeyed by nobody it would send.
    let ran = place.run(&["push", "a.csv", "--sandbox"]).ends_with(2);
    ran.says("CONTACTSYNC_DRY_RUN is set").says("type `--dry-run`");
}

#[test]
fn misspelt_variables_are_warned_of() {
    let place = Workplace::new().variable("CONTACTSYNC_RAET", "1/s").variable("CONTACTSYNC_API_KEY", "hidden-word");
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place
        .run(&["check", "a.csv"])
        .ends_with(0)
        .says("the environment variable CONTACTSYNC_RAET is not known and not obeyed; did you mean CONTACTSYNC_RATE?")
        .says("did you mean ENGAGELAB_MA_API_KEY?")
        .never_says("hidden-word");
    let place = place.variable("CONTACTSYNC_REDIS_PASWORD", "hidden-word").variable("CONTACTSYNC_SHARD", "");
    place
        .run(&["check", "a.csv"])
        .ends_with(0)
        .says("did you mean CONTACTSYNC_REDIS_PASSWORD?")
        .says("CONTACTSYNC_SHARD is empty and counts as not set: all rows are taken")
        .never_says("hidden-word");
    place.file("own.toml", "shard = \"0/2\"\n");
    let cases: [&[&str]; 3] = [
        &["check", "a.csv", "--shard", "0/2"],
        &["check", "a.csv", "--config", "own.toml"],
        &["replay", "absent.ndjson", "--dry-run", "--sandbox"],
    ];
    for command in cases {
        place.run(command).says("did you mean CONTACTSYNC_REDIS_PASSWORD?").never_says("CONTACTSYNC_SHARD");
    }
}

#[test]
fn two_names_of_the_base_url_must_agree() {
    let place = Workplace::new()
        .variable("ENGAGELAB_MA_BASE_URL", "https://one.example.com")
        .variable("CONTACTSYNC_BASE_URL", "https://two.example.com");
    place.run(&["config", "show"]).ends_with(2).says("are both set, and not to the same");
}
