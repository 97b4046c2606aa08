//! What somebody may ask about what arrived.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{Response, StatusCode},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::served::Served;

pub(super) async fn stats(State(served): State<Arc<Served>>) -> Json<Value> {
    Json(json!(served.record.stats()))
}

pub(super) async fn user(State(served): State<Arc<Served>>, Path(euid): Path<u64>) -> Response<Body> {
    found(served.record.user(euid), "nothing arrived for this EUID")
}

pub(super) async fn id(
    State(served): State<Arc<Served>>,
    Path((name, value)): Path<(String, String)>,
) -> Response<Body> {
    found(served.record.id(&name, &value).map(|id| json!(id)), "nobody asked for this id")
}

fn found(answer: Option<Value>, otherwise: &str) -> Response<Body> {
    match answer {
        Some(answer) => Json(answer).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": otherwise}))).into_response(),
    }
}
