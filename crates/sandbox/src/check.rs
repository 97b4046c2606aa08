//! What the documentation says is checked, and the code it is answered with.

use model::limits::{MAX_NAME_CHARS, MAX_PROFILE_EUIDS, MAX_REGISTER_IDS, MAX_VALUE_CHARS};
use serde_json::{Map, Value};

/// A request's refusal: code and message.
pub(crate) type Refusal = (i64, &'static str);

const PARAMETERS: Refusal = (55004, "business parameters invalid");
const EUID_EMPTY: Refusal = (40007, "EUID empty");
const EUID_INVALID: Refusal = (55108, "EUID invalid");

/// A valid "Set Contact Information": the user, names and values. Whether a value that is empty clears its contact or is
/// refused is said in two ways: by the documentation of the SDKs, and by the table of codes.
pub(crate) fn contact(body: &[u8], refuse_empty: bool) -> Result<(u64, Map<String, Value>), Refusal> {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else { return Err(PARAMETERS) };
    let euid = match body.get("euid") {
        None | Some(Value::Null) => return Err(EUID_EMPTY),
        Some(euid) => valid_euid(euid)?,
    };
    let Some(Value::Object(contacts)) = body.remove("contacts") else { return Err(PARAMETERS) };
    if contacts.is_empty() {
        return Err(PARAMETERS);
    }
    for (name, value) in &contacts {
        let Value::String(value) = value else { return Err(PARAMETERS) };
        if name.is_empty() || name.chars().any(char::is_control) || name.chars().count() > MAX_NAME_CHARS {
            return Err((55102, "attribute name invalid"));
        }
        let clears = value.is_empty() && !refuse_empty;
        if value.trim().is_empty() && !clears {
            return Err((55103, "attribute value empty"));
        }
        if value.chars().count() > MAX_VALUE_CHARS {
            return Err((55105, "value longer than 256 characters"));
        }
    }
    Ok((euid, contacts))
}

/// A valid "Obtain EUID": identity name and values.
pub(crate) fn register(body: &[u8]) -> Result<(String, Vec<String>), Refusal> {
    let Ok(request) = serde_json::from_slice::<model::wire::Register>(body) else {
        return Err(PARAMETERS);
    };
    if !["user_id", "anonymous_id", "registration_id"].contains(&request.identity_name.as_str()) {
        return Err((55106, "identifier name invalid"));
    }
    if request.identity_values.len() > MAX_REGISTER_IDS {
        return Err((55101, "more than 100 identifier values"));
    }
    if request.identity_values.iter().any(String::is_empty) || request.identity_values.is_empty() {
        return Err((55107, "identifier value empty"));
    }
    if request.identity_values.iter().any(|value| value.trim().is_empty()) {
        return Err((55103, "attribute value empty"));
    }
    if request.identity_values.iter().any(|value| value.chars().count() > MAX_VALUE_CHARS) {
        return Err((55105, "identifier value longer than 256 characters"));
    }
    Ok((request.identity_name, request.identity_values))
}

/// A valid "query user information": whom to read, and which contacts; none are all.
pub(crate) fn profile(body: &[u8]) -> Result<(Vec<u64>, Option<Vec<String>>), Refusal> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return Err(PARAMETERS) };
    let euids = match body.get("euid") {
        None | Some(Value::Null) => return Err(EUID_EMPTY),
        Some(Value::Array(euids)) if euids.is_empty() => return Err(EUID_EMPTY),
        Some(Value::Array(euids)) if euids.len() <= MAX_PROFILE_EUIDS => {
            euids.iter().map(valid_euid).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(PARAMETERS),
    };
    let names = match body.get("contacts") {
        None | Some(Value::Null) => None,
        Some(Value::Array(names)) => {
            let texts = names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>();
            Some(texts.ok_or(PARAMETERS)?)
        }
        Some(_) => return Err(PARAMETERS),
    };
    Ok((euids, names))
}

fn valid_euid(euid: &Value) -> Result<u64, Refusal> {
    euid.as_u64().filter(|euid| (1..=i64::MAX as u64).contains(euid)).ok_or(EUID_INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_checked_as_documented() {
        let long = "x".repeat(257);
        for (body, code) in [
            ("", 55004),
            ("[]", 55004),
            ("{}", 40007),
            (r#"{"euid":null}"#, 40007),
            (r#"{"euid":"1","contacts":{"email":"a"}}"#, 55108),
            (r#"{"euid":0,"contacts":{"email":"a"}}"#, 55108),
            (r#"{"euid":-1,"contacts":{"email":"a"}}"#, 55108),
            (r#"{"euid":9223372036854775808,"contacts":{"email":"a"}}"#, 55108),
            (r#"{"euid":1.5,"contacts":{"email":"a"}}"#, 55108),
            (r#"{"euid":1}"#, 55004),
            (r#"{"euid":1,"contacts":{}}"#, 55004),
            (r#"{"euid":1,"contacts":{"email":1}}"#, 55004),
            (r#"{"euid":1,"contacts":{"":"a"}}"#, 55102),
            (r#"{"euid":1,"contacts":{"email":"a","mobile_phone":" "}}"#, 55103),
            (&format!(r#"{{"euid":1,"contacts":{{"email":"{long}"}}}}"#), 55105),
        ] {
            assert_eq!(contact(body.as_bytes(), false).map_err(|(code, _)| code), Err(code), "{body}");
        }
        let (euid, contacts) = contact(br#"{"euid":10362473,"contacts":{"email":"a@example.com"}}"#, false).unwrap();
        assert_eq!((euid, contacts.len()), (10_362_473, 1));
    }

    #[test]
    fn an_empty_value_clears_or_is_refused() {
        let body = br#"{"euid":1,"contacts":{"email":"","mobile_phone":"+12025550101"}}"#;
        assert_eq!(contact(body, false).unwrap().1.len(), 2);
        assert_eq!(contact(body, true).unwrap_err().0, 55103);
    }

    #[test]
    fn registrations_are_checked_as_documented() {
        let many = serde_json::json!({"identity_name": "user_id", "identity_values": vec!["a"; 101]}).to_string();
        let long = serde_json::json!({"identity_name": "user_id", "identity_values": ["ü".repeat(257)]}).to_string();
        for (body, code) in [
            ("{}", 55004),
            (r#"{"identity_name":"x","identity_values":["a"]}"#, 55106),
            (r#"{"identity_name":"user_id","identity_values":[]}"#, 55107),
            (r#"{"identity_name":"user_id","identity_values":["a",""]}"#, 55107),
            (r#"{"identity_name":"user_id","identity_values":["a"," "]}"#, 55103),
            (&long, 55105),
            (&many, 55101),
        ] {
            assert_eq!(register(body.as_bytes()).map_err(|(code, _)| code), Err(code), "{body}");
        }
    }

    #[test]
    fn reads_are_checked_as_documented() {
        let many = serde_json::json!({"euid": vec![1; 101]}).to_string();
        for (body, code) in [
            ("[]", 55004),
            ("{}", 40007),
            (r#"{"euid":null}"#, 40007),
            (r#"{"euid":[]}"#, 40007),
            (r#"{"euid":1}"#, 55004),
            (r#"{"euid":[1,"2"]}"#, 55108),
            (r#"{"euid":[0]}"#, 55108),
            (r#"{"euid":[1],"contacts":"email"}"#, 55004),
            (r#"{"euid":[1],"contacts":[1]}"#, 55004),
            (&many, 55004),
        ] {
            assert_eq!(profile(body.as_bytes()).map_err(|(code, _)| code), Err(code), "{body}");
        }
        let (euids, names) = profile(br#"{"euid":[2,1],"contacts":["email"]}"#).unwrap();
        assert_eq!((euids, names), (vec![2, 1], Some(vec!["email".to_owned()])));
        assert_eq!(profile(br#"{"euid":[2]}"#).unwrap().1, None);
    }
}
