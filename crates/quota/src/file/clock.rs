use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// The machine's monotonic clock, the same for all its processes, in nanoseconds.
pub(super) fn monotonic() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Tells this start of the machine from others: its monotonic clock begins anew with each. Empty where nobody says.
pub(super) fn boot_id() -> String {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| ask_boot_id().unwrap_or_default().trim().to_owned()).clone()
}

#[cfg(target_os = "linux")]
fn ask_boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}

/// The kernel tells it to those who call it, which takes unsafe code, and to this program.
#[cfg(not(target_os = "linux"))]
fn ask_boot_id() -> Option<String> {
    let output = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "kern.bootsessionuuid"]).output().ok()?;
    String::from_utf8(output.stdout).ok()
}
