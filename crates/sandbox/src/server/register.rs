use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response},
};
use model::wire::Registered;
use serde_json::{Value, json};

use super::served::{PARTIAL, Served, meaning};
use crate::{
    check,
    euids::other_of_pair,
    fault::{Fault, Kind, Scope, What, digest, mix},
};

/// "Obtain EUID".
pub(super) async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let _under_way = match served.let_in(Kind::Register, &headers).await {
        Ok(under_way) => under_way,
        Err(answer) => return answer,
    };
    let (name, values) = match check::register(&body) {
        Ok(request) => request,
        Err(refusal) => return served.code(refusal).await,
    };
    served.record.ids_asked(&name, &values);
    let content = digest(std::iter::once(&*name).chain(values.iter().map(String::as_str)));
    let what = served.fault_of_content(Kind::Register, content);
    let request = Request { served: &served, faults: served.faults(), name, values };
    let refused = request.refused();
    match (what, refused) {
        (None | Some(What::Code(0) | What::Partial), Some(refused)) => {
            served.record.met(refused.name());
            served.fault(refused).await
        }
        (None, None) => served.data("success", || request.carry_out(0)).await,
        (Some(What::Code(0)), None) => served.data(meaning(0), || request.carry_out(0)).await,
        (Some(What::Partial), None) => served.data(PARTIAL, || request.carry_out(1)).await,
        (Some(what), refused) => {
            // What is refused isn't carried out, also where the answer is lost.
            if what.accepts() && refused.is_none() {
                request.carry_out(0);
            }
            served.fault(what).await
        }
    }
}

struct Request<'s> {
    served: &'s Served,
    faults: Arc<[Fault]>,
    name: String,
    values: Vec<String>,
}

impl Request<'_> {
    fn met(&self, scope: Scope, value: &str) -> Option<What> {
        Fault::met(&self.faults, scope, self.served.options.seed, digest([&*self.name, value]), 0)
    }

    /// What the whole is refused with for one of its ids.
    fn refused(&self) -> Option<What> {
        let refused = |value: &String| self.met(Scope::Id, value).filter(|what| matches!(what, What::Refused(_)));
        self.values.iter().find_map(refused)
    }

    /// The entries of the answer, but for the last few ids; their users are there from now on.
    fn carry_out(&self, left_out: usize) -> Value {
        let values = &self.values[..self.values.len().saturating_sub(left_out)];
        let known = values.iter().filter(|value| self.met(Scope::Id, value) != Some(What::Unknown));
        let mut entries: BTreeMap<u64, Vec<Registered>> = BTreeMap::new();
        let mut distinct: Vec<&String> = known.collect();
        distinct.sort_unstable();
        distinct.dedup();
        for value in distinct {
            let euid = self.served.record.register(&self.name, value, &self.owner_of(value));
            let entry = Registered { euid, identity_value: value.clone() };
            // Clients must match by value; the order says nothing.
            entries.entry(mix(digest([&**value]))).or_default().push(entry);
        }
        json!(entries.into_values().flatten().collect::<Vec<_>>())
    }

    /// The id whose user an id has.
    fn owner_of(&self, value: &str) -> String {
        let other = other_of_pair(value).filter(|other| self.met(Scope::Pair, other) == Some(What::Twin));
        other.unwrap_or_else(|| value.to_owned())
    }
}
