use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::{Map, Value};

use super::served::{PARTIAL, Served, meaning};
use crate::{
    check,
    fault::{Kind, What, digest, mix},
};

/// "Query user information".
pub(super) async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let _under_way = match served.let_in(Kind::Profile, &headers).await {
        Ok(under_way) => under_way,
        Err(answer) => return answer,
    };
    let (euids, names) = match check::profile(&body) {
        Ok(request) => request,
        Err(refusal) => return served.code(refusal).await,
    };
    served.record.euids_asked(euids.len());
    let numbers: Vec<String> = euids.iter().map(u64::to_string).collect();
    let content = digest(numbers.iter().chain(names.iter().flatten()).map(String::as_str));
    let what = served.fault_of_content(Kind::Profile, content);
    if served.record.read(&[]).is_none() {
        // It would have to say that nobody is there.
        return served.status(StatusCode::NOT_IMPLEMENTED).await;
    }
    let data = |left_out: usize| {
        let mut euids = euids.clone();
        euids.sort_unstable_by_key(|euid| mix(*euid));
        euids.dedup();
        euids.truncate(euids.len().saturating_sub(left_out));
        let users = served.record.read(&euids).unwrap_or_default();
        let users: Vec<_> = users.into_iter().map(|(euid, held)| (euid, asked_for(held, names.as_deref()))).collect();
        served.options.profile_shape.data(&users, names.as_deref().unwrap_or_default())
    };
    match what {
        None => served.data("success", || data(0)).await,
        Some(What::Code(0)) => served.data(meaning(0), || data(0)).await,
        Some(What::Partial) => served.data(PARTIAL, || data(1)).await,
        Some(what) => served.fault(what).await,
    }
}

/// Of what is held, the contacts that were asked for; where none are named, all.
fn asked_for(mut held: Map<String, Value>, names: Option<&[String]>) -> Map<String, Value> {
    if let Some(names) = names {
        held.retain(|name, _| names.contains(name));
    }
    held
}
