use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// The machine's monotonic clock, the same for all its processes, in nanoseconds.
pub(super) fn monotonic() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Tells this clock from others: it begins anew with each start of a machine, and containers may have one of their own. Empty
/// where nobody says.
pub(super) fn clock_id() -> String {
    static CLOCK_ID: OnceLock<String> = OnceLock::new();
    CLOCK_ID.get_or_init(|| ask().unwrap_or_default()).clone()
}

#[cfg(target_os = "linux")]
fn ask() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// The kernel tells it to those who call it, which takes unsafe code, and to this program.
#[cfg(not(target_os = "linux"))]
fn ask() -> Option<String> {
    let output = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "kern.bootsessionuuid"]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
