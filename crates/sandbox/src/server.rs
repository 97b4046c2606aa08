use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use model::wire::{Answer, Registered};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt, service_fn};

use crate::{
    check::{self, Refusal},
    fault::{Fault, mix},
    options::SandboxOptions,
    record::Record,
};

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

/// Faults that can be replaced.
type Faults = Arc<RwLock<Arc<[Fault]>>>;

struct Served {
    options: SandboxOptions,
    /// In the place of those among the options.
    faults: Faults,
    authorization: String,
    record: Arc<Record>,
}

/// Marks a response that is never to be written: the connection is closed instead.
#[derive(Clone)]
struct CloseInstead;

impl Sandbox {
    /// Starts to listen. Call it within a tokio runtime.
    pub async fn start(options: SandboxOptions) -> Result<Self, StartError> {
        let unable = |cause| StartError { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(unable)?;
        let address = listener.local_addr().map_err(unable)?;
        let record = Arc::new(Record::new(&options));
        let pair = format!("{}:{}", options.api_key, options.api_secret);
        let authorization = format!("Basic {}", STANDARD.encode(pair));
        let faults: Faults = Arc::new(RwLock::new(options.faults.as_slice().into()));
        let served = Served { options, faults: Arc::clone(&faults), authorization, record: Arc::clone(&record) };
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
        .route("/v1/user/contact", post(contact))
        .route("/v1/user/register", post(register))
        .route("/_sandbox/stats", get(stats))
        .route("/_sandbox/contacts/{euid}", get(user))
        .with_state(served)
}

async fn stats(State(served): State<Arc<Served>>) -> Json<Value> {
    Json(json!(served.record.stats()))
}

async fn user(State(served): State<Arc<Served>>, Path(euid): Path<u64>) -> Response<Body> {
    match served.record.user(euid) {
        Some(user) => Json(user).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "nothing arrived for this EUID"}))).into_response(),
    }
}

async fn contact(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let (_under_way, let_in) = served.record.arrived(served.options.limit);
    if let Err(wait) = let_in {
        return served.too_many(wait);
    }
    if !served.is_authorized(&headers) {
        return served.code((40050, "authentication failed")).await;
    }
    let (euid, contacts) = match check::contact(&body, served.options.refuse_empty) {
        Ok(request) => request,
        Err(refusal) => return served.code(refusal).await,
    };
    let nth = served.record.begin(euid, &contacts);
    let mut request = OpenRequest { served: &served, euid, contacts: Some(contacts) };
    match Fault::met(&served.faults(), served.options.seed, euid, nth) {
        None => {
            let response = served.code((0, "success")).await;
            request.answered(json!(0), true);
            response
        }
        Some(fault) => {
            served.record.met(fault.name());
            let answered = if let Fault::Code(code, _) = fault { json!(code) } else { json!(fault.name()) };
            if let (Fault::Partial(_), Some(contacts)) = (fault, &mut request.contacts) {
                let last = contacts.keys().max().cloned();
                contacts.retain(|name, _| Some(name) != last.as_ref());
            }
            let response = served.fault(fault).await;
            request.answered(answered, fault.accepts());
            response
        }
    }
}

async fn register(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let (_under_way, let_in) = served.record.arrived(served.options.limit);
    if let Err(wait) = let_in {
        return served.too_many(wait);
    }
    if !served.is_authorized(&headers) {
        return served.code((40050, "authentication failed")).await;
    }
    let (name, values) = match check::register(&body) {
        Ok(request) => request,
        Err(refusal) => return served.code(refusal).await,
    };
    let first = values.first().map_or(0, |value| euid_of(&name, value));
    let faults = served.faults();
    let nth = if faults.is_empty() { 1 } else { served.record.registered(first) };
    if let Some(fault) = Fault::met(&faults, served.options.seed, first, nth) {
        served.record.met(fault.name());
        return served.fault(fault).await;
    }
    served.take_its_time().await;
    served.record.answered(200, Some(0));
    let mut data: Vec<Registered> =
        values.into_iter().map(|value| Registered { euid: euid_of(&name, &value), identity_value: value }).collect();
    // Clients must match by value; the order says nothing.
    data.sort_by_key(|entry| entry.euid);
    data.dedup_by_key(|entry| entry.euid);
    Json(json!({"code": 0, "message": "success", "data": data})).into_response()
}

/// The same EUID for the same id, above ten thousand million as the documentation's own.
fn euid_of(name: &str, value: &str) -> u64 {
    let hash = name.bytes().chain([0]).chain(value.bytes()).fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    10_000_000_000 + (hash >> 2)
}

/// A request of a user on its way; notes its end also where the client leaves before.
struct OpenRequest<'s> {
    served: &'s Served,
    euid: u64,
    contacts: Option<serde_json::Map<String, Value>>,
}

impl OpenRequest<'_> {
    fn answered(mut self, answered: Value, accepted: bool) {
        if let Some(contacts) = self.contacts.take() {
            self.served.record.end(self.euid, contacts, answered, accepted);
        }
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        if let Some(contacts) = self.contacts.take() {
            self.served.record.end(self.euid, contacts, json!("abandoned"), false);
        }
    }
}

impl Served {
    fn faults(&self) -> Arc<[Fault]> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == self.authorization.as_bytes())
    }

    fn too_many(&self, wait: Duration) -> Response<Body> {
        self.record.answered(429, None);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let headers = [(header::RETRY_AFTER, seconds.max(1).to_string())];
        (StatusCode::TOO_MANY_REQUESTS, headers, "too many requests").into_response()
    }

    /// Waits out the latency. Without one there is no timer: it would be good for a millisecond at the earliest.
    async fn take_its_time(&self) {
        if !self.options.latency.is_zero() {
            tokio::time::sleep(self.options.latency).await;
        }
    }

    async fn code(&self, (code, message): Refusal) -> Response<Body> {
        self.take_its_time().await;
        self.record.answered(200, Some(code));
        Json(json!(Answer { code, message: message.into() })).into_response()
    }

    async fn fault(&self, fault: Fault) -> Response<Body> {
        match fault {
            Fault::Code(code, _) => {
                let documented = model::ApiCode::documented(code);
                self.code((code, documented.map_or("a code of nobody's", |entry| entry.meaning))).await
            }
            Fault::Status(status, _) => {
                self.take_its_time().await;
                self.record.answered(status, None);
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
                (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
            }
            Fault::Garbage(_) => {
                self.take_its_time().await;
                self.record.answered(200, None);
                "}{ not what you think".into_response()
            }
            Fault::Partial(_) => self.code((0, "partial success")).await,
            Fault::Drop(_) | Fault::Lost(_) => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(CloseInstead);
                response
            }
            Fault::Hang(_) => std::future::pending().await,
        }
    }
}
