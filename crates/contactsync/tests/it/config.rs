use std::os::unix::fs::PermissionsExt;

use crate::support::Workplace;

#[test]
fn secrets_are_masked_whole() {
    let place = Workplace::new()
        .variable("ENGAGELAB_MA_API_KEY", "hidden-word")
        .variable("CONTACTSYNC_SANDBOX_API_SECRET", "hidden-word");
    place.file("home/.config/contactsync/config.toml", "api_secret = \"hidden-word\"\n");
    let ran = place.run(&["config", "show"]).ends_with(0).never_says("hidden-word");
    for (key, source) in [
        ("api_key", "the environment variable ENGAGELAB_MA_API_KEY"),
        ("api_secret", "home/.config/contactsync/config.toml"),
        ("sandbox_api_secret", "the environment variable CONTACTSYNC_SANDBOX_API_SECRET"),
    ] {
        let line = ran.stdout.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        assert!(line.split_whitespace().nth(1) == Some("********") && line.ends_with(source), "{line}");
    }
}

#[test]
fn without_anything_set_the_defaults_are_shown() {
    let ran = Workplace::new().run(&["config", "show"]).ends_with(0);
    assert!(ran.stdout.lines().all(|line| line.ends_with("  default")), "{ran}");
    let lines: Vec<&str> = ran.stdout.lines().take(6).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    api_key                none                                      default
    api_secret             none                                      default
    accept_new_key         off                                       default
    all                    off                                       default
    all_columns            off                                       default
    allow_id               NULL, \N, NaN, None, nil, N/A and what --null says are no ids  default
    ");
}

#[test]
fn a_template_is_written_once_and_for_the_user_alone() {
    let place = Workplace::new();
    place.run(&["config", "init", "own.toml"]).ends_with(0).says("wrote own.toml");
    let mode = std::fs::metadata(place.path("own.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = place.read("own.toml");
    assert!(written.contains("# rate = \"100/s\"\n") && written.contains("# outage_wait = \"15m\"\n"), "{written}");
    place.run(&["config", "init", "own.toml"]).ends_with(2).says("own.toml exists");
    assert_eq!(place.read("own.toml"), written);
    let ran = place.run(&["config", "show", "--config", "own.toml"]).ends_with(0);
    assert!(!ran.stdout.contains("own.toml"), "{ran}");
}

#[test]
fn the_template_goes_to_the_user_s_own_place() {
    let place = Workplace::new();
    place.run(&["config", "init"]).ends_with(0).says("home/.config/contactsync/config.toml");
    assert!(place.exists("home/.config/contactsync/config.toml"));
    let help = place.run(&["config", "init", "--help"]).ends_with(0);
    assert!(help.stdout.contains("~/.config/contactsync/config.toml"), "{help}");
    assert!(!help.stdout.contains("contactsync.toml"), "{help}");
    place.run(&["config", "init", "no/such/folder.toml"]).ends_with(5).says("no/such/folder.toml can't be written");
}
