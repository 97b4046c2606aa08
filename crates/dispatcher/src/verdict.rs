//! What an answer means: the one place where the table of verdicts stands. Pure; tested row by row.

use std::time::Duration;

use jiff::Timestamp;
use model::{Answered, ApiCode, CodeClass, Reason, limits::MAX_MESSAGE_BYTES};

use crate::{
    answer::Body,
    certificate::CertificateFault,
    retry_after::retry_after,
    transport::{Broken, Reply},
};

/// What an attempt's end means for its row and for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted; the reason is kept where it isn't a plain success.
    Accepted(Option<Reason>),
    /// Refused: sending it again changes nothing.
    Refused(Reason),
    /// Failed in a way that may pass.
    Again(Reason, Wait),
    /// The credentials or the project are refused.
    Denied(Denial),
    /// What answers is not the service: the run stops.
    NotTheService(CertificateFault),
}

/// Whether credentials that are refused stop the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// At once: no row was accepted yet, so every further one would fail the same way.
    Certain,
    /// Rows were accepted before, so it may be a slip of the server's: it must be said twice.
    Doubtful,
}

impl Denial {
    fn of(accepted_before: bool) -> Self {
        if accepted_before { Self::Doubtful } else { Self::Certain }
    }
}

/// Who waits before an attempt is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// This row only.
    ThisRow,
    /// Everybody waits out the row's backoff.
    Everybody,
    /// Nobody starts before this time is over: the server said so.
    EverybodyFor(Duration),
}

/// What the user added to the table.
#[derive(Debug, Clone, Default)]
pub struct Codes {
    /// Codes that are tried again as `rate_limited`.
    pub retry: Vec<i64>,
    /// Codes that count as accepted.
    pub ok: Vec<i64>,
}

/// Judges an answer. `accepted_before`: rows of this run were accepted.
pub fn judge(reply: &Reply, codes: &Codes, accepted_before: bool) -> (Verdict, Answered) {
    let text = String::from_utf8_lossy(&reply.body);
    let body = if reply.broke_off { None } else { Body::parse(&text) };
    let code = body.as_ref().map(|body| body.code);
    let answered = Answered {
        code,
        message: match &body {
            Some(body) => body.message.as_deref().map(cut),
            None => said(&text),
        },
        http_status: Some(reply.status),
    };
    let by_code = body.as_ref().and_then(|body| by_code(body, reply, codes, accepted_before));
    let verdict = by_code.unwrap_or_else(|| by_status(reply, code.is_some(), accepted_before));
    (verdict, answered)
}

/// Judges an attempt that got no answer.
pub(crate) fn judge_broken(broken: &Broken) -> Verdict {
    match broken {
        Broken::Timeout(_) => Verdict::Again(Reason::Timeout, Wait::ThisRow),
        Broken::Network { .. } => Verdict::Again(Reason::Network, Wait::ThisRow),
        Broken::Certificate(fault) => Verdict::NotTheService(fault.clone()),
    }
}

/// A documented code, or one that the user named, decides whatever the HTTP status.
fn by_code(body: &Body<'_>, reply: &Reply, codes: &Codes, accepted_before: bool) -> Option<Verdict> {
    let documented = ApiCode::documented(body.code);
    let reason = documented.map_or(Some(Reason::ApiOther), |entry| entry.reason);
    // Whether a 0 is all of success its message says, whatever else was asked for.
    if codes.ok.contains(&body.code) && body.code != 0 {
        return Some(Verdict::Accepted(reason));
    }
    if codes.retry.contains(&body.code) {
        return Some(Verdict::Again(Reason::RateLimited, everybody(reply)));
    }
    let entry = documented?;
    Some(match (entry.class, reason) {
        (CodeClass::Accepted, _) if body.is_plain_success() => Verdict::Accepted(None),
        (CodeClass::Accepted, _) => Verdict::Accepted(Some(Reason::Partial)),
        (CodeClass::Again, _) if reply.status == 429 => Verdict::Again(Reason::ServerError, everybody(reply)),
        (CodeClass::Again, _) => Verdict::Again(Reason::ServerError, unavailable(reply)),
        (CodeClass::Stop, _) => Verdict::Denied(Denial::of(accepted_before)),
        (CodeClass::Refused, reason) => Verdict::Refused(reason.unwrap_or(Reason::ApiOther)),
    })
}

fn by_status(reply: &Reply, has_code: bool, accepted_before: bool) -> Verdict {
    match reply.status {
        429 => Verdict::Again(Reason::RateLimited, everybody(reply)),
        408 | 500..=599 => Verdict::Again(Reason::Http5xx, unavailable(reply)),
        401 => Verdict::Denied(Denial::of(accepted_before)),
        403 if !accepted_before => Verdict::Denied(Denial::Certain),
        403 => Verdict::Refused(Reason::HttpStatus),
        _ if has_code => Verdict::Refused(Reason::ApiOther),
        300..=499 => Verdict::Refused(Reason::HttpStatus),
        _ => Verdict::Again(Reason::BadResponse, Wait::ThisRow),
    }
}

fn everybody(reply: &Reply) -> Wait {
    wait_asked_for(reply).map_or(Wait::Everybody, Wait::EverybodyFor)
}

fn unavailable(reply: &Reply) -> Wait {
    if reply.status != 503 {
        return Wait::ThisRow;
    }
    wait_asked_for(reply).map_or(Wait::ThisRow, Wait::EverybodyFor)
}

fn wait_asked_for(reply: &Reply) -> Option<Duration> {
    retry_after(reply.retry_after.as_deref()?, reply.date.as_deref(), Timestamp::now())
}

/// What a body without a code says, in one line.
fn said(text: &str) -> Option<String> {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_MESSAGE_BYTES {
            break;
        }
    }
    (!line.is_empty()).then(|| cut(&line))
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_MESSAGE_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "<html><body>502 Bad Gateway</body></html>";

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() }
    }

    fn verdict(status: u16, body: &str) -> Verdict {
        judge(&reply(status, body), &Codes::default(), false).0
    }

    #[test]
    fn a_documented_code_decides_under_every_status() {
        let plain = Verdict::Accepted(None);
        let rows = [
            (r#"{"code":0,"message":"success"}"#, plain.clone()),
            (r#"{"code":"0","message":" SUCCESS "}"#, plain.clone()),
            (r#"{"code":0}"#, plain.clone()),
            (r#"{"code":0,"message":null}"#, plain),
            (r#"{"code":0,"message":"email ignored"}"#, Verdict::Accepted(Some(Reason::Partial))),
            (r#"{"code":0,"message":""}"#, Verdict::Accepted(Some(Reason::Partial))),
            (r#"{"code":40050,"message":"x"}"#, Verdict::Denied(Denial::Certain)),
            (r#"{"code":50031}"#, Verdict::Denied(Denial::Certain)),
            (r#"{"code":50034}"#, Verdict::Denied(Denial::Certain)),
            (r#"{"code":50074}"#, Verdict::Denied(Denial::Certain)),
            (r#"{"code":40007}"#, Verdict::Refused(Reason::EuidEmpty)),
            (r#"{"code":55108}"#, Verdict::Refused(Reason::EuidInvalid)),
            (r#"{"code":55004}"#, Verdict::Refused(Reason::ParametersInvalid)),
            (r#"{"code":55014}"#, Verdict::Refused(Reason::ContactExists)),
            (r#"{"code":55102}"#, Verdict::Refused(Reason::NameInvalid)),
            (r#"{"code":55103}"#, Verdict::Refused(Reason::ValueEmpty)),
            (r#"{"code":55105}"#, Verdict::Refused(Reason::ValueTooLong)),
            (r#"{"code":55101}"#, Verdict::Refused(Reason::ApiOther)),
        ];
        for (body, expected) in rows {
            for status in [200, 302, 400, 401, 403, 404, 500, 503] {
                assert_eq!(verdict(status, body), expected, "{status} {body}");
            }
        }
        for body in [r#"{"code":-1,"message":"x"}"#, r#"{"code":"-1"}"#] {
            for status in [200, 400, 500] {
                assert_eq!(verdict(status, body), Verdict::Again(Reason::ServerError, Wait::ThisRow));
            }
            assert_eq!(verdict(429, body), Verdict::Again(Reason::ServerError, Wait::Everybody));
        }
    }

    #[test]
    fn without_a_documented_code_the_status_decides() {
        let unknown = r#"{"code":99999,"message":"?"}"#;
        for status in 100..=999 {
            let expected = |with_code: bool| match status {
                429 => Verdict::Again(Reason::RateLimited, Wait::Everybody),
                408 | 500..=599 => Verdict::Again(Reason::Http5xx, Wait::ThisRow),
                401 | 403 => Verdict::Denied(Denial::Certain),
                _ if with_code => Verdict::Refused(Reason::ApiOther),
                300..=499 => Verdict::Refused(Reason::HttpStatus),
                _ => Verdict::Again(Reason::BadResponse, Wait::ThisRow),
            };
            assert_eq!(verdict(status, unknown), expected(true), "{status}");
            let array = r#"[0,"success"]"#;
            let twice = r#"{"code":0,"code":0}"#;
            let numbers = [r#"{"code":0.5}"#, r#"{"code":null}"#, r#"{"code":"+0"}"#, r#"{"code":" 0"}"#];
            // Other blanks than those of JSON don't make JSON.
            let form_feed = "\u{c}{\"code\":0}";
            for body in ["", HTML, "{", "[]", "null", array, twice, form_feed].into_iter().chain(numbers) {
                assert_eq!(verdict(status, body), expected(false), "{status} {body}");
            }
        }
    }

    #[test]
    fn once_rows_were_accepted_a_denial_is_doubted() {
        let judge = |status, body| judge(&reply(status, body), &Codes::default(), true).0;
        assert_eq!(judge(401, HTML), Verdict::Denied(Denial::Doubtful));
        assert_eq!(judge(200, r#"{"code":40050}"#), Verdict::Denied(Denial::Doubtful));
        assert_eq!(judge(403, HTML), Verdict::Refused(Reason::HttpStatus));
    }

    #[test]
    fn the_users_codes_come_first() {
        let codes = Codes { retry: vec![23008], ok: vec![55014, 777] };
        let judge = |status, body| judge(&reply(status, body), &codes, false).0;
        assert_eq!(judge(400, r#"{"code":23008}"#), Verdict::Again(Reason::RateLimited, Wait::Everybody));
        assert_eq!(judge(200, r#"{"code":55014}"#), Verdict::Accepted(Some(Reason::ContactExists)));
        assert_eq!(judge(500, r#"{"code":777}"#), Verdict::Accepted(Some(Reason::ApiOther)));
    }

    #[test]
    fn retry_after_holds_everybody_on_429_and_503_only() {
        let judge = |status| {
            let reply = Reply { status, retry_after: Some("3".to_owned()), ..Reply::default() };
            judge(&reply, &Codes::default(), false).0
        };
        let three = Wait::EverybodyFor(Duration::from_secs(3));
        assert_eq!(judge(429), Verdict::Again(Reason::RateLimited, three));
        assert_eq!(judge(503), Verdict::Again(Reason::Http5xx, three));
        assert_eq!(judge(500), Verdict::Again(Reason::Http5xx, Wait::ThisRow));
    }

    #[test]
    fn of_a_body_that_broke_off_nothing_counts() {
        for (status, expected) in [
            (401, Verdict::Denied(Denial::Certain)),
            (429, Verdict::Again(Reason::RateLimited, Wait::Everybody)),
            (503, Verdict::Again(Reason::Http5xx, Wait::ThisRow)),
        ] {
            let broken = |broke_off| Reply { broke_off, ..reply(status, r#"{"code":0}"#) };
            assert_eq!(judge(&broken(false), &Codes::default(), false).0, Verdict::Accepted(None));
            let (verdict, answered) = judge(&broken(true), &Codes::default(), false);
            assert_eq!((verdict, answered.code), (expected, None));
        }
    }

    #[test]
    fn messages_are_kept_and_cut() {
        let message = |body: &str| judge(&reply(200, body), &Codes::default(), false).1.message;
        assert_eq!(message(r#"{"code":1,"message":"a\nb"}"#).as_deref(), Some("a\nb"));
        assert_eq!(message(r#"{"code":1,"message":[1]}"#).as_deref(), Some("[1]"));
        assert_eq!(message(r#"{"code":1}"#), None);
        assert_eq!(message("  Bad \n gateway "), Some("Bad gateway".to_owned()));
        assert_eq!(message(""), None);
        assert_eq!(message(&"ü ".repeat(5000)).map(|message| message.len() <= MAX_MESSAGE_BYTES), Some(true));
    }
}
