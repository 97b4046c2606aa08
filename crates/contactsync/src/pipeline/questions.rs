use std::sync::Arc;

use dispatcher::{Asker, Dispatcher, Settings, Stop};
use model::Counters;
use tokio::sync::oneshot;

use super::{
    outcome::{has_asked, stopped_by},
    service::Service,
    sharing::with_shared_rate,
};
use crate::{
    exit::Exit,
    failure::Failure,
    settings::{SharedRate, Target},
};

/// Asks the service without sending a row, under the rates, retries and rules of a run. An error is what stopped it.
pub(crate) async fn with_asker<T>(
    target: &Target,
    settings: &Settings,
    shared: Option<&SharedRate>,
    counters: Arc<Counters>,
    ask: impl AsyncFnOnce(Asker) -> T,
) -> Result<T, Failure> {
    let service = Service::connect(target, None).await?;
    let stop = Stop::default();
    let (give, asker) = oneshot::channel();
    let (no_rows, rows) = async_channel::bounded(1);
    let (decided, _decisions) = tokio::sync::mpsc::channel(1);
    let dispatcher = with_shared_rate(Dispatcher::new(settings, service.lines), shared)?.with_asker(give);
    let (_, found) = tokio::join!(dispatcher.run(rows, decided, Arc::clone(&counters), stop.clone()), async {
        let found = match asker.await {
            Ok(asker) => Some(ask(asker).await),
            Err(_) => None,
        };
        // Until here something may still be asked.
        drop(no_rows);
        found
    });
    if let Some(sandbox) = service.sandbox {
        sandbox.stop().await;
    }
    if let Some(cause) = stop.cause() {
        return Err(stopped_by(cause, has_asked(&counters)));
    }
    found.ok_or_else(|| Failure::new(Exit::Bug, "the service wasn't asked: please report this"))
}
