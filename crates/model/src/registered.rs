//! Answers of "Obtain EUID": which users belong to the ids that were asked for.
//!
//! `data` is an array of entries that bear an `identity_value` and its `euid` (an integer or its digits). They are
//! matched by value, never by position; an id without an entry has no EUID.

use std::collections::HashMap;

use crate::{Euid, UnknownShape, json::Json};

/// The EUIDs of an answer, by id. `Debug` shows no id.
pub struct Registered {
    /// None where the answer gives an id two users.
    euids: HashMap<Box<str>, Option<Euid>>,
}

/// Reads the body of an answer that was a success. The error is an answer in another shape, of which nothing can be
/// concluded about any id.
pub fn read(body: &[u8]) -> Result<Registered, UnknownShape> {
    let data = Json::data_of(body)?;
    let entries = match &data {
        Some(Json::Array(entries)) => entries.as_slice(),
        // As some servers write an array of nothing.
        Some(Json::Null) | None => &[],
        Some(other) => return Err(UnknownShape::new(format!("\"data\" is {}, not an array", other.kind()))),
    };
    let mut euids: HashMap<Box<str>, Option<Euid>> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let (id, euid) = read_entry(entry)?;
        let known = euids.entry(id.into()).or_insert(Some(euid));
        *known = known.filter(|known| *known == euid);
    }
    Ok(Registered { euids })
}

fn read_entry<'a>(entry: &'a Json<'_>) -> Result<(&'a str, Euid), UnknownShape> {
    let Json::Object(members) = entry else {
        return Err(UnknownShape::new(format!("an entry of \"data\" is {}, not an object", entry.kind())));
    };
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let kind = |member: Option<&Json<'_>>| member.map_or("missing", Json::kind);
    let id = match member("identity_value") {
        Some(Json::Text(id)) => id,
        other => {
            let kind = kind(other);
            return Err(UnknownShape::new(format!(
                "the \"identity_value\" of an entry of \"data\" is {kind}, not text"
            )));
        }
    };
    let written = member("euid");
    let euid = written.and_then(Json::euid).ok_or_else(|| {
        UnknownShape::new(format!("the \"euid\" of an entry of \"data\" is {}, and no EUID", kind(written)))
    })?;
    Ok((id, euid))
}

impl Registered {
    /// The user of an id. None: the answer has none, or more than one.
    pub fn get(&self, id: &str) -> Option<Euid> {
        self.euids.get(id).copied().flatten()
    }
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registered").field("ids", &self.euids.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euids<const N: usize>(data: &str, ids: [&str; N]) -> [Option<u64>; N] {
        let body = format!(r#"{{"code":0,"message":"success","data":{data}}}"#);
        let registered = read(body.as_bytes()).expect(data);
        ids.map(|id| registered.get(id).map(Euid::get))
    }

    #[test]
    fn ids_are_matched_by_value() {
        let data = r#"[{"identity_value":"b","euid":12},{"euid":"0011","identity_value":"a","is_new":true}]"#;
        assert_eq!(euids(data, ["a", "b", "c"]), [Some(11), Some(12), None]);
        assert_eq!(euids("[]", ["a"]), [None]);
        assert_eq!(euids("null", ["a"]), [None], "no EUID came back");
        assert_eq!(read(br#"{"code":0,"message":"partial"}"#).expect("nothing").get("a"), None);
        let escaped = r#"[{"identity_value":"\u00fc/\"","euid":12}]"#;
        assert_eq!(euids(escaped, ["ü/\""]), [Some(12)]);
    }

    #[test]
    fn an_id_of_two_users_has_none_and_two_ids_may_have_one() {
        let entry = |id: &str, euid: u64| format!(r#"{{"identity_value":"{id}","euid":{euid}}}"#);
        let repeated = format!("[{},{},{}]", entry("a", 1), entry("a", 1), entry("b", 1));
        assert_eq!(euids(&repeated, ["a", "b"]), [Some(1), Some(1)]);
        for order in [[1, 2, 1], [1, 1, 2], [2, 1, 1]] {
            let data = order.map(|euid| entry("a", euid)).join(",");
            assert_eq!(euids(&format!("[{data}]"), ["a"]), [None], "{order:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_without_values() {
        for (body, told) in [
            ("", "the answer is no JSON"),
            (r#"{"data":[]}x"#, "the answer is no JSON"),
            ("{\"data\":[{\"identity_value\":\"\u{1}\",\"euid\":1}]}", "the answer is no JSON"),
            ("[]", "the answer is an array, not an object"),
            (r#"{"code":0,"data":""}"#, "\"data\" is text, not an array"),
            (r#"{"data":{"secret":1}}"#, "\"data\" is an object, not an array"),
            (r#"{"data":[],"data":[]}"#, "an object of the answer has two members \"data\""),
            (r#"{"data":["secret"]}"#, "an entry of \"data\" is text, not an object"),
            (r#"{"data":[{"euid":1}]}"#, "the \"identity_value\" of an entry of \"data\" is missing, not text"),
            (
                r#"{"data":[{"identity_value":18012345678,"euid":1}]}"#,
                "the \"identity_value\" of an entry of \"data\" is an integer, not text",
            ),
            (
                r#"{"data":[{"identity_value":"secret"}]}"#,
                "the \"euid\" of an entry of \"data\" is missing, and no EUID",
            ),
            (
                r#"{"data":[{"identity_value":"a","euid":1},{"identity_value":"secret","euid":null}]}"#,
                "the \"euid\" of an entry of \"data\" is null, and no EUID",
            ),
            (
                r#"{"data":[{"identity_value":"secret","euid":0}]}"#,
                "the \"euid\" of an entry of \"data\" is an integer, and no EUID",
            ),
            (
                r#"{"data":[{"identity_value":"secret","euid":1,"euid":1}]}"#,
                "an object of the answer has two members \"euid\"",
            ),
        ] {
            assert_eq!(read(body.as_bytes()).expect_err(body).to_string(), told, "{body}");
        }
        let broken = [&br#"{"data":[{"identity_value":""#[..], &[0xff], br#"","euid":1}]}"#].concat();
        assert_eq!(read(&broken).expect_err("no UTF-8").to_string(), "the answer is no JSON");
        let shown = format!("{:?}", read(br#"{"data":[{"identity_value":"secret","euid":1}]}"#));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
