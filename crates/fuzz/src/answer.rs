use dispatcher::{Codes, Reply, Verdict, judge};
use model::{ApiCode, limits::MAX_MESSAGE_BYTES};

/// Statuses that the first byte chooses from.
const STATUSES: [u16; 16] = [200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 408, 429, 500, 502, 503];
/// A code that counts as accepted, and one that is tried again.
const OK: i64 = 55014;
const RETRY: i64 = 77;

/// An answer: the first byte chooses the status, the second whether rows were accepted before, the rest is the body.
#[expect(clippy::missing_panics_doc, reason = "that is what it is for")]
pub fn answer(data: &[u8]) {
    let [status, before, body @ ..] = data else { return };
    let reply = Reply {
        status: STATUSES[usize::from(*status) % STATUSES.len()],
        retry_after: (before & 2 != 0).then(|| String::from_utf8_lossy(body).into_owned()),
        date: None,
        body: body.to_vec(),
    };
    let codes = Codes { retry: vec![RETRY], ok: vec![OK] };
    let (verdict, answered) = judge(&reply, &codes, before & 1 != 0);
    assert_eq!(answered.http_status, Some(reply.status));
    if let Some(message) = &answered.message {
        assert!(message.len() <= MAX_MESSAGE_BYTES, "a message of {} bytes", message.len());
    }
    match (verdict, answered.code) {
        (Verdict::Accepted(reason), Some(code)) => {
            assert!(code == 0 || code == OK, "code {code} was accepted");
            assert!(code == 0 || reason.is_some(), "an accepted code keeps its reason");
        }
        (Verdict::Accepted(_), None) => panic!("accepted without a code"),
        (Verdict::Refused(_), Some(code)) => {
            assert!(code != 0 && code != OK && code != RETRY, "code {code} was refused");
        }
        (Verdict::Again(..) | Verdict::Denied { .. }, Some(code)) => {
            assert!(code != 0 && code != OK, "code {code} was not accepted");
        }
        (Verdict::NotTheService(what), _) => panic!("an answer of the service's was taken for another's: {what}"),
        (Verdict::Refused(_) | Verdict::Again(..) | Verdict::Denied { .. }, None) => {}
    }
    // A documented code decides, whatever the status and whatever was accepted before but for a refusal of credentials.
    if let Some(entry) = answered.code.and_then(ApiCode::documented) {
        let plain = Reply { status: 200, ..reply };
        let (again, _) = judge(&plain, &codes, true);
        let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused(_));
        let (first, _) = judge(&Reply { status: 502, ..plain }, &codes, true);
        assert_eq!(refused(&again), refused(&first), "code {}", entry.code);
    }
}
