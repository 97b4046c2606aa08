//! Tells whether an attempt opened a connection of its own. The client asks its connector in the task that sends, and
//! only where no kept connection is idle, so a mark set by the connector belongs to that task's attempt.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tower::{Layer, Service};

tokio::task_local! {
    static CURRENT: NewConnections;
}

/// Whether connections were asked for during one attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewConnections(Arc<AtomicBool>);

impl NewConnections {
    /// A layer around the client's connector that sets the mark.
    pub(crate) fn layer() -> ConnectorLayer {
        ConnectorLayer
    }

    /// Whether the attempt asked for a new connection.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Runs an attempt with its mark in reach of the connector.
pub(crate) fn with_connection_watch<F: Future>(mark: &NewConnections, attempt: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(mark.clone(), attempt)
}

#[derive(Debug, Clone)]
pub(crate) struct ConnectorLayer;

impl<S> Layer<S> for ConnectorLayer {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Connector<S> {
    inner: S,
}

impl<S: Service<R>, R> Service<R> for Connector<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        // Outside an attempt there is nobody to tell.
        let _ = CURRENT.try_with(|mark| mark.0.store(true, Relaxed));
        self.inner.call(request)
    }
}
