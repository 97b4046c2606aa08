//! A sandbox in the test's own process, so that what arrived can be looked at.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

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

    /// Waits until nothing is left of clients that are gone: what a run that was killed had sent is carried out or not from here
    /// on, also what still lay in connections that were not accepted, or not read.
    pub(crate) fn settle(&self) {
        // Connections are accepted one after the other: once this one is answered, those before it were.
        let mut last = TcpStream::connect(self.sandbox.address()).unwrap();
        last.write_all(b"GET /_sandbox/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        last.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        while self.sandbox.connections() > 0 {
            std::thread::yield_now();
        }
        assert_eq!(self.record().in_flight(), 0);
    }

    /// Waits until no request is under way, while clients live on.
    #[cfg(feature = "redis")]
    pub(crate) fn until_none_is_in_flight(&self) {
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
