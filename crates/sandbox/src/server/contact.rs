use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response},
};
use serde_json::{Map, Value, json};

use super::served::Served;
use crate::{
    check,
    euids::may_be_the_first,
    fault::{Fault, Kind, Scope, What},
    record::Effect,
};

/// "Set Contact Information".
pub(super) async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let _under_way = match served.let_in(Kind::Contact, &headers).await {
        Ok(under_way) => under_way,
        Err(answer) => return answer,
    };
    let (euid, contacts) = match check::contact(&body, served.options.refuse_empty) {
        Ok(request) => request,
        Err(refusal) => return served.code(refusal).await,
    };
    let nth = served.record.begin(euid, &contacts);
    let mut request = OpenRequest { served: &served, euid, contacts: Some(contacts) };
    let faults = served.faults();
    if is_gone(&served, &faults, euid) {
        let response = served.fault(What::Stale).await;
        request.answered(json!(55108), Effect::Nothing);
        return response;
    }
    let Some(what) = Fault::met(&faults, Scope::Request(Kind::Contact), served.options.seed, euid, nth) else {
        let response = served.code((0, "success")).await;
        request.answered(json!(0), Effect::Stored);
        return response;
    };
    served.record.met(what.name_of(Kind::Contact));
    if let Some(contacts) = &mut request.contacts {
        change(contacts, what);
    }
    let response = served.fault(what).await;
    let effect = match what {
        What::Forgotten => Effect::Forgotten,
        What::Late => Effect::StoredLate,
        what if what.accepts() => Effect::Stored,
        _ => Effect::Nothing,
    };
    request.answered(if let What::Code(code) = what { json!(code) } else { json!(what.name()) }, effect);
    response
}

/// Whether the user of an EUID is there no more. One that turns out stale stays so.
fn is_gone(served: &Served, faults: &[Fault], euid: u64) -> bool {
    let is_stale =
        || may_be_the_first(euid) && Fault::met(faults, Scope::User, served.options.seed, euid, 0) == Some(What::Stale);
    if served.record.is_retired(euid) {
        return true;
    }
    if is_stale() {
        served.record.met(What::Stale.name());
        served.record.retire(euid);
        return true;
    }
    false
}

/// Of what a request holds, what is carried out.
fn change(contacts: &mut Map<String, Value>, what: What) {
    let Some(last) = contacts.keys().max().cloned() else { return };
    match what {
        What::Partial => drop(contacts.remove(&last)),
        What::Altered => {
            let value = contacts.get(&last).and_then(Value::as_str).unwrap_or_default();
            let altered = format!("{value}0");
            contacts.insert(last, altered.into());
        }
        _ => {}
    }
}

/// A request of a user on its way; notes its end also where the client leaves before.
struct OpenRequest<'s> {
    served: &'s Served,
    euid: u64,
    contacts: Option<Map<String, Value>>,
}

impl OpenRequest<'_> {
    fn answered(mut self, answered: Value, effect: Effect) {
        if let Some(contacts) = self.contacts.take() {
            self.served.record.end(self.euid, contacts, answered, effect);
        }
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        if let Some(contacts) = self.contacts.take() {
            self.served.record.end(self.euid, contacts, json!("abandoned"), Effect::Nothing);
        }
    }
}
