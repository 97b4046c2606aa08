use dispatcher::HttpLines;
use sandbox::Sandbox;

use crate::{exit::Exit, failure::Failure, settings::Target};

/// Where requests go: the service, or a sandbox that runs in this process.
pub(super) struct Service {
    pub(super) lines: HttpLines,
    pub(super) url: String,
    pub(super) sandbox: Option<Sandbox>,
}

impl Service {
    pub(super) async fn connect(target: &Target) -> Result<Self, Failure> {
        let (http, sandbox) = match target {
            Target::Service(http) => (http.clone(), None),
            Target::Sandbox(target) => {
                let sandbox = Sandbox::start(target.options.clone()).await.map_err(Failure::usage)?;
                let url = sandbox.base_url().parse().map_err(|error| Failure::new(Exit::Bug, error))?;
                (target.http_settings(url), Some(sandbox))
            }
        };
        let lines = HttpLines::new(&http).map_err(Failure::usage)?;
        Ok(Self { lines, url: http.base_url.as_str().trim_end_matches('/').to_owned(), sandbox })
    }
}
