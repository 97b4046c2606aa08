use std::collections::HashMap;

use dispatcher::{Codes, Denial, Reply, Verdict, judge};
use model::{ApiCode, CodeClass, limits::MAX_MESSAGE_BYTES};
use serde_json::value::RawValue;

/// Statuses that the first byte chooses from.
const STATUSES: [u16; 16] = [200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 408, 429, 500, 502, 503];
/// A code that counts as accepted, and one that is tried again.
const OK: i64 = 55014;
const RETRY: i64 = 77;

/// An answer: the first byte chooses the status; the second whether rows were accepted before, whether the body is in
/// `Retry-After` too, whether its first line is the `Date`, and whether it broke off; the rest is the body.
#[expect(clippy::missing_panics_doc, reason = "that is what it is for")]
pub fn answer(data: &[u8]) {
    let [status, before, body @ ..] = data else { return };
    let header = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let reply = Reply {
        status: STATUSES[usize::from(*status) % STATUSES.len()],
        retry_after: (before & 2 != 0).then(|| header(body)),
        date: (before & 4 != 0).then(|| header(body.split(|byte| *byte == b'\n').next().unwrap_or_default())),
        body: body.to_vec(),
        broke_off: before & 8 != 0,
    };
    let codes = Codes { retry: vec![RETRY], ok: vec![OK] };
    let (verdict, answered) = judge(&reply, &codes, before & 1 != 0);
    let said = format!("{verdict:?}, {answered:?}");
    assert_eq!(answered.http_status, Some(reply.status));

    // What the body says, read another way.
    let text = String::from_utf8_lossy(&reply.body);
    let text = text.trim_start_matches('\u{feff}');
    // Of what broke off nothing counts.
    let counts = Some(text).filter(|_| !reply.broke_off);
    let members: HashMap<String, &RawValue> =
        counts.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let member = |name: &str| members.get(name).map(|value| value.get());
    let code = member("code").and_then(code_of);
    assert!(answered.code.is_none() || answered.code == code, "not the body's code, {code:?}: {said}");
    // With a key twice the body may be taken for any.
    let is_plain = text.matches("code").count() == 1 && text.matches("message").count() < 2 && !text.contains("\\u");
    assert!(!is_plain || answered.code == code, "the body's code is {code:?}: {said}");
    if let Some(message) = &answered.message {
        assert!(message.len() <= MAX_MESSAGE_BYTES, "a message of {} bytes", message.len());
        let whole = member("message").and_then(|message| serde_json::from_str::<String>(message).ok());
        if let (Some(whole), Some(_), true) = (whole, answered.code, is_plain) {
            let rest = whole.strip_prefix(message.as_str()).expect("the message begins as the body's does");
            let next = rest.chars().next().map_or(0, char::len_utf8);
            assert!(rest.is_empty() || message.len() + next > MAX_MESSAGE_BYTES, "cut too early: {said}");
        }
    }

    let class = answered.code.and_then(ApiCode::documented).map(|entry| entry.class);
    let may_be = match (answered.code, class) {
        (Some(OK), _) => matches!(verdict, Verdict::Accepted(Some(_))),
        (Some(RETRY), _) | (_, Some(CodeClass::Again)) => matches!(verdict, Verdict::Again(..)),
        (_, Some(CodeClass::Accepted)) => matches!(verdict, Verdict::Accepted(_)),
        (_, Some(CodeClass::Refused)) => matches!(verdict, Verdict::Refused(_)),
        (_, Some(CodeClass::Stop)) => {
            verdict == Verdict::Denied(if before & 1 == 0 { Denial::Certain } else { Denial::Doubtful })
        }
        _ => matches!(verdict, Verdict::Refused(_) | Verdict::Again(..) | Verdict::Denied(_)),
    };
    assert!(may_be, "{said}");
}

/// The number of an integer, or of its digits as a text.
fn code_of(written: &str) -> Option<i64> {
    let text = serde_json::from_str(written).unwrap_or_else(|_| written.to_owned());
    let digits = text.strip_prefix('-').unwrap_or(&text);
    text.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
