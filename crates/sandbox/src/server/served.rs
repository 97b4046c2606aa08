use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::wire::Answer;
use serde_json::{Value, json};

use crate::{
    check::Refusal,
    fault::{Fault, Kind, Scope, What},
    options::SandboxOptions,
    record::{Record, UnderWay},
};

/// Faults that can be replaced.
pub(super) type Faults = Arc<RwLock<Arc<[Fault]>>>;

/// What every request is answered with.
pub(super) struct Served {
    pub(super) options: SandboxOptions,
    /// In the place of those among the options.
    faults: Faults,
    authorization: String,
    pub(super) record: Arc<Record>,
}

/// Marks a response that is never to be written: the connection is closed instead.
#[derive(Clone)]
pub(super) struct CloseInstead;

impl Served {
    pub(super) fn new(options: SandboxOptions, faults: Faults, record: Arc<Record>) -> Self {
        let pair = format!("{}:{}", options.api_key, options.api_secret);
        let authorization = format!("Basic {}", STANDARD.encode(pair));
        Self { options, faults, authorization, record }
    }

    /// Notes a request's arrival and lets it in. Err: the answer of one that isn't.
    pub(super) async fn let_in(&self, kind: Kind, headers: &HeaderMap) -> Result<UnderWay<'_>, Response<Body>> {
        let limit = if kind == Kind::Profile { self.options.profile_limit } else { self.options.limit };
        let (under_way, let_in) = self.record.arrived(kind, limit);
        if let Err(wait) = let_in {
            return Err(self.too_many(wait));
        }
        if !self.is_authorized(headers) {
            return Err(self.code((40050, "authentication failed")).await);
        }
        Ok(under_way)
    }

    pub(super) fn faults(&self) -> Arc<[Fault]> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fault that a request for users of this content meets; noted.
    pub(super) fn fault_of_content(&self, kind: Kind, content: u64) -> Option<What> {
        let faults = self.faults();
        if faults.is_empty() {
            return None;
        }
        let nth = self.record.nth_of_content(kind, content);
        let what = Fault::met(&faults, Scope::Request(kind), self.options.seed, content, nth);
        if let Some(what) = what {
            self.record.met(what.name_of(kind));
        }
        what
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
    pub(super) async fn take_its_time(&self) {
        if !self.options.latency.is_zero() {
            tokio::time::sleep(self.options.latency).await;
        }
    }

    pub(super) async fn code(&self, (code, message): Refusal) -> Response<Body> {
        self.take_its_time().await;
        self.record.answered(200, Some(code));
        Json(json!(Answer { code, message: message.into() })).into_response()
    }

    /// A success that holds data, made once the latency is over.
    pub(super) async fn data(&self, message: &str, data: impl FnOnce() -> Value) -> Response<Body> {
        self.take_its_time().await;
        self.record.answered(200, Some(0));
        Json(json!({"code": 0, "message": message, "data": data()})).into_response()
    }

    /// A bare HTTP status, under an HTML page.
    pub(super) async fn status(&self, status: StatusCode) -> Response<Body> {
        self.take_its_time().await;
        self.record.answered(status.as_u16(), None);
        let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
        (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
    }

    /// The answer of a request that met a fault, as one that sets contacts gets it.
    pub(super) async fn fault(&self, what: What) -> Response<Body> {
        match what {
            What::Code(code) | What::Refused(code) => self.code((code, meaning(code))).await,
            What::Status(status) => self.status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)).await,
            What::Garbage => {
                self.take_its_time().await;
                self.record.answered(200, None);
                "}{ not what you think".into_response()
            }
            What::Partial => self.code((0, PARTIAL)).await,
            What::Drop | What::Lost => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(CloseInstead);
                response
            }
            What::Hang => std::future::pending().await,
            What::Stale => self.code((55108, meaning(55108))).await,
            What::Unstored | What::Altered | What::Forgotten | What::Late | What::Unknown | What::Twin => {
                self.code((0, "success")).await
            }
        }
    }
}

/// The message of a success that isn't whole.
pub(super) const PARTIAL: &str = "partial success";

/// The message of a code.
pub(super) fn meaning(code: i64) -> &'static str {
    model::ApiCode::documented(code).map_or("a code of nobody's", |entry| entry.meaning)
}
