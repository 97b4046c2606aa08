use dispatcher::HttpLines;
use sandbox::Sandbox;
use tokio::runtime::Handle;

use crate::{exit::Exit, failure::Failure, settings::Target};

/// Where requests go: the service, or a sandbox that runs in this process.
pub(super) struct Service {
    pub(super) lines: HttpLines,
    pub(super) url: String,
    pub(super) sandbox: Option<Sandbox>,
}

impl Service {
    /// Starts the sandbox, where that is the target, on a runtime of its own.
    pub(super) async fn connect(target: &Target, sandbox_on: Option<&Handle>) -> Result<Self, Failure> {
        let (http, sandbox) = match target {
            Target::Service(http) => (http.clone(), None),
            Target::Sandbox(target) => {
                let start = Sandbox::start(target.options.clone());
                let here = Handle::current();
                let started = sandbox_on.unwrap_or(&here).spawn(start).await;
                let bug = |_| Failure::new(Exit::Bug, "the sandbox broke off");
                let sandbox = started.map_err(bug)?.map_err(Failure::usage)?;
                let url = sandbox.base_url().parse().map_err(|error| Failure::new(Exit::Bug, error))?;
                (target.http_settings(url), Some(sandbox))
            }
        };
        let lines = HttpLines::new(&http).map_err(Failure::usage)?;
        Ok(Self { lines, url: http.base_url.as_str().trim_end_matches('/').to_owned(), sandbox })
    }
}
