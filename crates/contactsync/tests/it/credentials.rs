use std::os::unix::fs::symlink;

use crate::support::Workplace;

/// A push that gets no further than its settings: the input is missing.
const PUSH: [&str; 2] = ["push", "absent.csv"];
/// What it says where the settings are in order.
const IN_ORDER: &str = "absent.csv";
const KEY: &str = "ENGAGELAB_MA_API_KEY";
const SECRET: &str = "ENGAGELAB_MA_API_SECRET";

#[test]
fn missing_ones_are_named() {
    Workplace::new()
        .run(&PUSH)
        .ends_with(2)
        .says("no credentials: ENGAGELAB_MA_API_KEY and ENGAGELAB_MA_API_SECRET are not set")
        .says("`--sandbox`");
    let place = Workplace::new().variable(KEY, "k").variable(SECRET, "");
    place.run(&PUSH).ends_with(2).says("no credentials: ENGAGELAB_MA_API_SECRET is not set");
}

#[test]
fn they_come_from_variables_or_files() {
    let place = Workplace::new().variable(KEY, "k").variable(SECRET, "s");
    place.run(&PUSH).ends_with(2).says(IN_ORDER).never_says("credentials");
    let place = Workplace::new().variable(KEY, "k").variable("ENGAGELAB_MA_API_SECRET_FILE", "secret");
    place.run(&PUSH).ends_with(2).says("ENGAGELAB_MA_API_SECRET_FILE names secret, which can't be read");
    place.file("secret", "hidden-word\n");
    place.run(&PUSH).ends_with(2).says(IN_ORDER).never_says("hidden-word").never_says("credentials");
    place.mode("secret", 0o644);
    place.run(&PUSH).ends_with(2).says("warning: secret holds a secret and can be read by others").says(IN_ORDER);
    place.file("secret", "\n");
    place.run(&PUSH).ends_with(2).says("`api_secret` is empty");
}

#[test]
fn a_variable_and_its_file_exclude_each_other() {
    let place = Workplace::new()
        .variable(KEY, "hidden-word")
        .variable("ENGAGELAB_MA_API_KEY_FILE", "key")
        .variable(SECRET, "s");
    place
        .run(&PUSH)
        .ends_with(2)
        .says("ENGAGELAB_MA_API_KEY and ENGAGELAB_MA_API_KEY_FILE are both set")
        .never_says("hidden-word");
}

#[test]
fn they_come_from_a_configuration_or_a_program_that_it_names() {
    let place = Workplace::new();
    place.file("own.toml", "api_key = \"k\"\napi_secret_command = [\"printf\", \"hidden-word\\\\n\"]\n");
    place.run(&["push", "absent.csv", "--config", "own.toml"]).ends_with(2).says(IN_ORDER).never_says("hidden-word");
    for (content, why) in [
        ("api_key = \"k\"\napi_secret_command = \"pass\"", "is not a list of words"),
        ("api_key = \"k\"\napi_secret_command = []", "is not a list of words"),
        ("api_key = \"k\"\napi_secret_command = [\"false\"]", "false ended with"),
        ("api_key = \"k\"\napi_secret_command = [\"true\"]", "`api_secret` is empty"),
        ("api_key = \"k\"\napi_secret_command = [\"./no-such-program\"]", "can't be run"),
        ("api_key = \"k\"\napi_secret = 7", "is not a text"),
        ("api_key = \"k\"\napi_secret = \"s\"\napi_secret_command = [\"id\"]", "has both"),
    ] {
        place.file("own.toml", content);
        place.run(&["push", "absent.csv", "--config", "own.toml"]).ends_with(2).says(why);
    }
    let place = place.variable(KEY, "k").variable(SECRET, "s");
    place.run(&["push", "absent.csv", "--config", "own.toml"]).ends_with(2).says(IN_ORDER);
}

#[test]
fn the_sandbox_needs_none() {
    Workplace::new().run(&["push", "--sandbox", "absent.csv"]).ends_with(2).says(IN_ORDER).never_says("credentials");
}

#[test]
fn passwords_in_addresses_are_refused_and_not_repeated() {
    let place = Workplace::new().variable(KEY, "k").variable(SECRET, "s");
    place
        .run(&["push", "absent.csv", "--base-url", "https://me:hidden-word@example.com"])
        .ends_with(2)
        .says("the base URL holds user info")
        .never_says("hidden-word");
    for proxy in ["http://me:hidden-word@example.com:3128", "me:hidden-word@example.com:3128"] {
        place
            .run(&["push", "absent.csv", "--proxy", proxy])
            .ends_with(2)
            .says("CONTACTSYNC_PROXY")
            .never_says("hidden-word");
    }
    let place = place.variable("CONTACTSYNC_PROXY", "http://me:hidden-word@example.com:3128");
    place.run(&PUSH).ends_with(2).says(IN_ORDER).never_says("hidden-word");
    let ran = place.run(&["config", "show"]).ends_with(0).never_says("hidden-word");
    assert!(ran.stdout.lines().any(|line| line.starts_with("proxy  ") && line.contains("  ********  ")), "{ran}");
}

#[test]
fn plain_http_goes_to_this_machine_only() {
    let place = Workplace::new().variable(KEY, "k").variable(SECRET, "s");
    let place = place.variable("ENGAGELAB_MA_BASE_URL", "http://example.com");
    place
        .run(&PUSH)
        .ends_with(2)
        .says("http://example.com would carry credentials and contacts unencrypted")
        .says("hint: the base URL is set in the environment variable ENGAGELAB_MA_BASE_URL");
    place.run(&["push", "absent.csv", "--allow-insecure-http"]).ends_with(2).says(IN_ORDER).never_says("unencrypted");
    place.run(&["push", "absent.csv", "--base-url", "http://localhost:1"]).ends_with(2).says(IN_ORDER);
    place.run(&["push", "absent.csv", "--sandbox"]).ends_with(2).says(IN_ORDER);
    place.run(&["push", "absent.csv", "--region", "usva"]).ends_with(2).says("http://example.com");
}

#[test]
fn a_missing_certificate_file_is_named() {
    let place = Workplace::new().variable(KEY, "k").variable(SECRET, "s");
    place
        .run(&["push", "absent.csv", "--ca-cert", "absent.pem"])
        .ends_with(2)
        .says("the file of `--ca-cert`, absent.pem");
}

#[test]
fn a_link_to_a_file_that_others_can_read_is_no_way_around() {
    let place = Workplace::new();
    place.file("open.toml", "api_key = \"k\"");
    place.mode("open.toml", 0o644);
    symlink(place.path("open.toml"), place.path("link.toml")).unwrap();
    place.run(&["config", "show", "--config", "link.toml"]).ends_with(2).says("link.toml holds a secret");
}

#[cfg(not(feature = "keyring"))]
#[test]
fn a_build_without_a_keyring_names_the_feature() {
    let place = Workplace::new();
    place.file("own.toml", "api_key = \"k\"\napi_secret_keyring = \"night\"");
    let ran = place.run(&["push", "absent.csv", "--config", "own.toml"]).ends_with(2);
    ran.says("`api_secret_keyring` needs the feature `keyring`");
}

/// In a session of its own, with a keyring of its own.
#[cfg(feature = "keyring")]
#[test]
fn a_keyring_tells_the_secret() {
    let installed = |name: &str| std::path::Path::new("/usr/bin").join(name).exists();
    if !["dbus-run-session", "gnome-keyring-daemon", "secret-tool"].into_iter().all(installed) {
        let why = b"skipped: dbus-run-session, gnome-keyring-daemon and secret-tool are not all installed\n";
        std::io::Write::write_all(&mut std::io::stdout(), why).unwrap();
        return;
    }
    let service = crate::service::Service::with_faults(&[]);
    let place = Workplace::new().variable("PATH", "/usr/bin:/bin").variable("ENGAGELAB_MA_BASE_URL", &service.url());
    place.file("own.toml", "api_key_keyring = \"key\"\napi_secret_keyring = \"night\"");
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    let script = format!(
        "mkdir -p $HOME/.cache
        echo unlock | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
        {0} push a.csv --config own.toml && exit 9
        for entry in key:sandbox-key night:sandbox-secret; do
            printf %s ${{entry#*:}} | secret-tool store --label=test service contactsync username ${{entry%%:*}}
        done
        exec {0} push a.csv --config own.toml",
        env!("CARGO_BIN_EXE_contactsync")
    );
    let shell = place.command(&[] as &[&str]);
    let mut session = std::process::Command::new("dbus-run-session");
    session.args(["--", "sh", "-c", &script]).current_dir(place.path("")).env_clear();
    session.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
    session.stdin(std::process::Stdio::null());
    session.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = crate::support::finish(session.spawn().unwrap()).ends_with(0);
    ran.says("the keyring doesn't tell it").never_says("sandbox-secret");
    assert_eq!(service.record().contacts().len(), 1);
}
