use std::fmt::Write;

use model::{ApiCode, CodeClass, Reason, ReasonClass};

use crate::{failure::Failure, layers::closest, terminal::write_stdout};

/// Asking for EUIDs stops with it.
const IDENTITY_NAME_INVALID: i64 = 55106;

/// `explain`: what an API code or a reason means and what to do; without a subject, all of them.
pub(crate) fn explain(subject: Option<&str>) -> Result<(), Failure> {
    let text = match subject {
        None => everything(),
        Some(subject) => one(subject.trim())?,
    };
    write_stdout(text.as_bytes())
}

fn one(subject: &str) -> Result<String, Failure> {
    if let Ok(number) = subject.parse::<i64>() {
        return match ApiCode::documented(number) {
            Some(code) => Ok(about_code(code)),
            None => Err(unknown_code(number)),
        };
    }
    let word = subject.to_ascii_lowercase().replace('-', "_");
    if let Some(reason) = Reason::parse(&word) {
        return Ok(about_reason(reason));
    }
    let hint = match closest(&word, Reason::ALL.into_iter().map(Reason::as_str)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "`contactsync explain` lists all codes and reasons".to_owned(),
    };
    Err(Failure::usage(format!("`{subject}` is neither an API code nor a reason")).with_hint(hint))
}

fn unknown_code(number: i64) -> Failure {
    let written = number.to_string();
    let known: Vec<String> = ApiCode::ALL.iter().map(|entry| entry.code.to_string()).collect();
    let near = closest(&written, known.iter().map(String::as_str)).map(|code| format!("did you mean {code}? "));
    let hint = format!(
        "{}a row with a code that isn't documented fails as `api_other`, see `contactsync explain api_other`",
        near.unwrap_or_default()
    );
    Failure::usage(format!("the API's documentation lists no code {number}")).with_hint(hint)
}

fn about_code(entry: &ApiCode) -> String {
    let mut text = format!("{}: {}\n", entry.code, entry.meaning);
    // No row ends by it.
    let stops_ids = entry.code == IDENTITY_NAME_INVALID;
    let reason = if stops_ids { None } else { entry.reason };
    let none = if stops_ids { "none: the run stops" } else { "none: a plain success" };
    field(&mut text, "reason", reason.map_or(none, Reason::as_str));
    let again = if stops_ids { "changes nothing" } else { again_after_code(entry.class) };
    field(&mut text, "sending again", again);
    field(&mut text, "what to do", entry.advice);
    text
}

fn about_reason(reason: Reason) -> String {
    let mut text = format!("{reason}: {}\n", reason.meaning());
    let codes: Vec<String> =
        ApiCode::ALL.iter().filter(|code| code.reason == Some(reason)).map(|code| code.code.to_string()).collect();
    field(&mut text, "comes from", origin(reason, &codes));
    if !codes.is_empty() {
        field(&mut text, "API codes", &codes.join(", "));
    }
    field(&mut text, "sending again", again_after_reason(reason));
    field(&mut text, "what to do", reason.advice());
    if reason.advice_of_verify() != reason.advice() {
        field(&mut text, "of a verify", reason.advice_of_verify());
    }
    text
}

fn everything() -> String {
    let mut text = "API codes\n".to_owned();
    for code in ApiCode::ALL {
        listed(&mut text, &code.code.to_string(), code.meaning);
    }
    for (class, title) in [
        (ReasonClass::Validation, "Reasons for rows that are rejected here and never sent"),
        (ReasonClass::Api, "Reasons told by the API's code"),
        (ReasonClass::Transport, "Reasons that lie between here and the API"),
        (ReasonClass::Comparison, "Reasons of `verify`, which compares rows with what the service holds"),
    ] {
        text.extend(["\n", title, "\n"]);
        for reason in Reason::ALL.into_iter().filter(|reason| reason.class() == class) {
            listed(&mut text, reason.as_str(), reason.meaning());
        }
    }
    text.push_str("\n`contactsync explain CODE|REASON` says what to do about one of them.\n");
    text
}

fn origin(reason: Reason, codes: &[String]) -> &'static str {
    match reason.class() {
        ReasonClass::Validation if codes.is_empty() => "validation: the row is rejected and never sent",
        ReasonClass::Validation => "validation (rejected, never sent) or the API (failed, sent and refused)",
        ReasonClass::Api => "the API",
        ReasonClass::Transport => "the way to the API",
        ReasonClass::Comparison => "`verify`, which compares the row with what the service holds",
    }
}

fn again_after_code(class: CodeClass) -> &'static str {
    match class {
        CodeClass::Accepted => "not needed: the row is synced",
        CodeClass::Refused => "changes nothing before the row is mended",
        CodeClass::Again => "can help; it is retried by itself",
        CodeClass::Stop => "changes nothing before the credentials are mended; the run stops",
    }
}

fn again_after_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Partial => "not needed: the row is synced",
        Reason::Credentials => "can help once the credentials are mended",
        Reason::IdUnknown => "can help: the id is asked for again",
        Reason::HttpStatus => "can help once the address or the proxy is mended",
        reason if reason.class() == ReasonClass::Comparison => "sets what the row says: `contactsync replay REPORT`",
        reason if reason.curable() => "can help; time alone may cure it",
        _ => "changes nothing before the row is mended",
    }
}

fn field(text: &mut String, name: &str, value: &str) {
    // Writing to a text can't fail.
    let _ = writeln!(text, "  {name:<14} {value}");
}

fn listed(text: &mut String, name: &str, meaning: &str) {
    let _ = writeln!(text, "  {name:<18} {meaning}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_reason_is_explained_and_listed() {
        let all = everything();
        for code in ApiCode::ALL {
            assert!(one(&code.code.to_string()).unwrap().contains(code.advice));
            assert!(all.contains(code.meaning));
        }
        for reason in Reason::ALL {
            assert!(one(reason.as_str()).unwrap().contains(reason.advice()));
            assert!(all.contains(reason.meaning()));
        }
    }
}
