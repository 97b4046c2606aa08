mod asked;
mod contact;
mod profile;
mod register;
mod served;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::Response,
    routing::{get, post},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt, service_fn};

use self::served::{CloseInstead, Faults, Served};
use crate::{fault::Fault, options::SandboxOptions, record::Record};

/// A sandbox that listens.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    record: Arc<Record>,
    faults: Faults,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// It can't listen.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox can't listen on {address}: {cause}")]
pub struct StartError {
    address: SocketAddr,
    cause: io::Error,
}

impl Sandbox {
    /// Starts to listen. Call it within a tokio runtime.
    pub async fn start(options: SandboxOptions) -> Result<Self, StartError> {
        let unable = |cause| StartError { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(unable)?;
        let address = listener.local_addr().map_err(unable)?;
        let record = Arc::new(Record::new(&options));
        let faults: Faults = Arc::new(RwLock::new(options.faults.as_slice().into()));
        let served = Served::new(options, Arc::clone(&faults), Arc::clone(&record));
        let router = router(Arc::new(served));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, router, stop.clone(), tasks.clone()));
        Ok(Self { address, record, faults, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived so far.
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record)
    }

    /// How many connections are open, of those that it has accepted.
    pub fn connections(&self) -> usize {
        // One more task accepts them.
        self.tasks.len().saturating_sub(1)
    }

    /// From here on requests meet these faults. Meant for a sandbox that keeps all of what arrives.
    pub fn set_faults(&self, faults: &[Fault]) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults.into();
    }

    /// Stops: closes all connections, answered or not.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, router: Router, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, router.clone());
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = connection => {}
                    }
                });
            }
            // Out of file descriptors, most likely: some are given back soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Where this fails, answers are only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let router = router.clone();
        async move {
            let Ok(response): Result<Response<Body>, Infallible> = router.oneshot(request).await;
            // An error here makes the server close the connection without a byte.
            if response.extensions().get::<CloseInstead>().is_some() {
                Err(io::Error::other("drop"))
            } else {
                Ok(response)
            }
        }
    });
    // Connections end in many ways, and none of them is of interest here.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
}

fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/v1/user/contact", post(contact::answer))
        .route("/v1/user/register", post(register::answer))
        .route("/v1/user/profile", post(profile::answer))
        .route("/_sandbox/stats", get(asked::stats))
        .route("/_sandbox/contacts/{euid}", get(asked::user))
        .route("/_sandbox/ids/{identity_name}/{*value}", get(asked::id))
        .with_state(served)
}
