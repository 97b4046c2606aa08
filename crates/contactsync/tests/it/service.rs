//! A sandbox in the test's own process, so that what arrived can be looked at.

use std::sync::Arc;

use sandbox::{Record, Sandbox, SandboxOptions};
use tokio::runtime::Runtime;

use crate::support::Workplace;

/// An API for the program under test.
pub(crate) struct Service {
    _runtime: Runtime,
    sandbox: Sandbox,
}

impl Service {
    pub(crate) fn start(options: SandboxOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        Self { _runtime: runtime, sandbox }
    }

    pub(crate) fn with_faults(faults: &[&str]) -> Self {
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        Self::start(SandboxOptions { faults, ..SandboxOptions::default() })
    }

    /// From here on requests meet these faults.
    pub(crate) fn set_faults<F: AsRef<str>>(&self, faults: &[F]) {
        let faults: Vec<_> = faults.iter().map(|fault| fault.as_ref().parse().unwrap()).collect();
        self.sandbox.set_faults(&faults);
    }

    /// Waits until nothing is under way: what a run that was killed had sent is carried out or not from here on.
    pub(crate) fn settle(&self) {
        while self.record().in_flight() > 0 {
            std::thread::yield_now();
        }
    }

    pub(crate) fn url(&self) -> String {
        self.sandbox.base_url()
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        self.sandbox.record()
    }

    /// A folder whose program sends to this service.
    pub(crate) fn workplace(&self) -> Workplace {
        Workplace::new()
            .variable("ENGAGELAB_MA_BASE_URL", &self.url())
            .variable("ENGAGELAB_MA_API_KEY", "sandbox-key")
            .variable("ENGAGELAB_MA_API_SECRET", "sandbox-secret")
    }
}

/// A CSV of so many users, each once.
pub(crate) fn users(count: u64) -> String {
    let rows = (1..=count).map(|euid| format!("{euid},user{euid}@example.com\n"));
    std::iter::once("euid,email\n".to_owned()).chain(rows).collect()
}
