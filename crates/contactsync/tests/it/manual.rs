use std::process::Stdio;

use crate::support::{Workplace, finish};

#[test]
fn the_manual_has_every_command_and_option() {
    let ran = Workplace::new().run(&["man"]).ends_with(0);
    let page = ran.stdout.replace("\\-", "-");
    for part in ["CONTACTSYNC PUSH", "CONTACTSYNC CHECK", "CONTACTSYNC CONFIG INIT", "EXIT STATUS", "ENVIRONMENT"] {
        assert!(page.contains(part), "{part}\n{ran}");
    }
    for option in ["--outage-wait", "--sandbox-fault", "--report-all", "--listen", "--profile", "--log-format"] {
        assert!(page.contains(option), "{option}\n{ran}");
    }
    assert!(page.contains("How long to wait for a service that is down"), "{ran}");
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = Workplace::new().run(&["completions", shell]).ends_with(0);
        assert!(ran.stdout.contains("outage-wait"), "{shell}\n{ran}");
    }
    Workplace::new().run(&["completions", "cmd"]).ends_with(2).says("possible values: bash");
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let place = Workplace::new();
    for arguments in [&["man"][..], &["explain"], &["completions", "bash"], &["--help"]] {
        let mut child = place.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(finish(child).ends_with(0).stderr, "");
    }
}

#[test]
fn a_full_disk_is_a_fault() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = Workplace::new().command(&["man"]).stdout(full).spawn().unwrap();
    finish(child).ends_with(5).says("standard output can't be written");
}
