//! The units under a real systemd: a container boots with them installed, and has nights. Only as root, where there is
//! `systemd-nspawn`.

use std::{os::unix::fs::symlink, process::Command};

use super::{if_installed, repository, text};
use crate::support::{Workplace, skipped};

/// Of the machine's own start, and in the way of a container without a network.
const LEFT_OUT: [&str; 4] = [
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-firstboot.service",
];

/// Runs the nights once the system is up, and ends it.
const SCENARIO: &str = "[Unit]\nSuccessAction=exit-force\nFailureAction=exit-force\n\
                        [Service]\nType=oneshot\nExecStart=/bin/sh /out/nights.sh\n";

#[test]
fn nights_under_a_real_systemd() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can boot a container");
        return;
    }
    let place = Workplace::new();
    install(&place);
    let folder = |name: &str| place.path(name).display().to_string();
    let mut container = Command::new("systemd-nspawn");
    container
        .args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "--volatile=overlay"])
        .arg(format!("--directory={}", folder("root")))
        .arg(format!("--overlay=/usr:{}:/usr", folder("usr")))
        .arg(format!("--bind={}:/out", folder("out")))
        .args(["--boot", "systemd.unit=nights.service"]);
    let Some(output) = if_installed(&mut container) else { return };
    if !place.exists("out/log") {
        skipped(&format!("a container can't be booted here: {}", String::from_utf8_lossy(&output.stderr)));
        return;
    }
    let log = place.read("out/log");
    assert!(log.ends_with("all nights passed\n"), "{log}");
}

/// A root with what a package would install over the machine's `/usr`.
fn install(place: &Workplace) {
    for folder in ["root/usr", "root/var", "root/srv", "root/etc/systemd/system", "root/etc/ssl/certs", "out"] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), place.path("root").join(link)).unwrap();
    }
    for file in ["os-release", "nsswitch.conf", "ssl/certs/ca-certificates.crt"] {
        let from = std::path::Path::new("/etc").join(file);
        if from.exists() {
            std::fs::copy(from, place.path("root/etc").join(file)).unwrap();
        }
    }
    public(place, "root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    public(place, "root/etc/group", "root:x:0:\n");
    for unit in LEFT_OUT {
        symlink("/dev/null", place.path("root/etc/systemd/system").join(unit)).unwrap();
    }
    public(place, "root/etc/systemd/system/nights.service", SCENARIO);
    for unit in ["contactsync@.service", "contactsync@.timer", "contactsync-failed@.service"] {
        public(place, &format!("usr/lib/systemd/system/{unit}"), &text(&format!("systemd/{unit}")));
    }
    for folder in ["sysusers.d", "tmpfiles.d"] {
        public(
            place,
            &format!("usr/lib/{folder}/contactsync.conf"),
            &text(&format!("systemd/{folder}/contactsync.conf")),
        );
    }
    public(place, "usr/sbin/sendmail", "#!/bin/sh\ncat >/out/mail\n");
    place.mode("usr/sbin/sendmail", 0o755);
    std::fs::create_dir_all(place.path("usr/bin")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_contactsync"), place.path("usr/bin/contactsync")).unwrap();
    let script = repository("crates/contactsync/tests/it/deploy/systemd_nights.sh");
    std::fs::copy(script, place.path("out/nights.sh")).unwrap();
    for folder in ["", "root", "root/usr", "root/var", "root/srv", "root/etc", "usr", "usr/bin", "usr/lib", "usr/sbin"]
    {
        place.mode(folder, 0o755);
    }
}

/// A file that everybody may read.
fn public(place: &Workplace, name: &str, content: &str) {
    place.file(name, content);
    place.mode(name, 0o644);
}

/// What the example says is taken by the program, but for the service.
#[test]
fn the_configuration_of_the_example_holds() {
    let place = Workplace::new();
    place.file("nightly.toml", text("systemd/nightly.toml"));
    place.file("nightly.csv", "euid,email,mobile_phone\n1,a@example.com,+6555501001\n");
    // Whatever the time is.
    let until = "--until=2099-01-01T06:00:00Z";
    let words = ["push", "nightly.csv", "--config=nightly.toml", "--state=s", "--dry-run", until];
    place.run(&words).ends_with(0).says("1 rows");
}
