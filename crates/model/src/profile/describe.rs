use crate::{
    json::{Json, is_name},
    limits::MAX_NAMES_SHOWN,
    shown_name,
};

/// Kinds of items that are shown of an array, each with how many there are.
const KINDS_SHOWN: usize = 5;
/// Items that are looked at.
const ITEMS_LOOKED_AT: usize = 1_000;
/// What lies deeper is told by its type alone.
const DEEPEST: usize = 8;
const MOST_LINES: usize = 200;

/// The shape of an answer's body, indented: names, types and counts, and no value. Keys that may be values (addresses,
/// numbers) are counted, not shown.
pub fn describe(body: &[u8]) -> String {
    let Some(json) = Json::parse(body) else { return format!("no JSON ({} bytes)", body.len()) };
    let whole = shape(&json, 0);
    let mut lines: Vec<&str> = whole.lines().take(MOST_LINES).collect();
    if whole.lines().nth(MOST_LINES).is_some() {
        lines.push("and more");
    }
    lines.join("\n")
}

fn shape(json: &Json<'_>, depth: usize) -> String {
    match json {
        Json::Text(text) if text.is_empty() => "empty text".to_owned(),
        Json::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => "text of digits".to_owned(),
        Json::Array(items) if items.is_empty() => "empty array".to_owned(),
        Json::Object(members) if members.is_empty() => "empty object".to_owned(),
        Json::Array(items) if depth < DEEPEST => {
            let mut kinds: Vec<(String, usize)> = Vec::new();
            for item in items.iter().take(ITEMS_LOOKED_AT) {
                count(&mut kinds, shape(item, depth + 1));
            }
            let shown = kinds.iter().take(KINDS_SHOWN).map(|(kind, times)| line(depth, &format!("{times} × {kind}")));
            let shown: String = shown.collect();
            format!(
                "array of {}{shown}{}",
                items.len(),
                and_more(depth, kinds.len().saturating_sub(KINDS_SHOWN), "kinds")
            )
        }
        Json::Object(members) if depth < DEEPEST => {
            let shown: String = members
                .iter()
                .filter(|(name, _)| is_name(name))
                .take(MAX_NAMES_SHOWN)
                .map(|(name, value)| line(depth, &format!("{}: {}", shown_name(name), shape(value, depth + 1))))
                .collect();
            let mut others: Vec<(String, usize)> = Vec::new();
            for (_, value) in members.iter().filter(|(name, _)| !is_name(name)).take(ITEMS_LOOKED_AT) {
                count(&mut others, shape(value, depth + 1));
            }
            let keyed = others.iter().take(KINDS_SHOWN);
            let keyed: String = keyed
                .map(|(kind, times)| line(depth, &format!("{times} × (a key that isn't shown): {kind}")))
                .collect();
            let names = members.iter().filter(|(name, _)| is_name(name)).count();
            let more = and_more(depth, names.saturating_sub(MAX_NAMES_SHOWN), "names");
            format!("object{shown}{more}{keyed}")
        }
        Json::Array(items) => format!("array of {}", items.len()),
        Json::Object(members) => format!("object of {}", members.len()),
        other => other.kind().trim_start_matches("a ").trim_start_matches("an ").to_owned(),
    }
}

fn count(kinds: &mut Vec<(String, usize)>, kind: String) {
    match kinds.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, times)) => *times += 1,
        None => kinds.push((kind, 1)),
    }
}

fn line(depth: usize, text: &str) -> String {
    format!("\n{}{text}", "  ".repeat(depth + 1))
}

fn and_more(depth: usize, more: usize, what: &str) -> String {
    if more == 0 { String::new() } else { line(depth, &format!("and {more} more {what}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_names_types_and_counts_and_no_value() {
        let body = r#"{"code":0,"message":"success","data":[{"euid":"10362473","contacts":[{"name":"email","value":"ann@example.com"},
            {"name":"mobile_phone","value":"+12015550101"},{"name":"whatsapp_phone","value":null}],"score":1.5,"vip":true,"tags":[],
            "more":{},"note":""}]}"#;
        assert_eq!(
            describe(body.as_bytes()),
            r#"object
  "code": integer
  "message": text
  "data": array of 1
    1 × object
      "euid": text of digits
      "contacts": array of 3
        2 × object
          "name": text
          "value": text
        1 × object
          "name": text
          "value": null
      "score": number
      "vip": boolean
      "tags": empty array
      "more": empty object
      "note": empty text"#
        );
    }

    #[test]
    fn keys_that_may_be_values_are_counted() {
        let body =
            r#"{"data":{"10362473":{"email":"a"},"10362474":{"email":"b"},"ann@example.com":1,"+12015550101":2}}"#;
        assert_eq!(
            describe(body.as_bytes()),
            r#"object
  "data": object
    2 × (a key that isn't shown): object
      "email": text
    2 × (a key that isn't shown): integer"#
        );
    }

    #[test]
    fn large_and_deep_answers_have_a_short_shape() {
        let names: Vec<String> =
            (0..500).map(|n| format!("\"{}{n}\":{{\"x\":[1,\"a\",null]}}", "n".repeat(300))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains("n1000")).collect();
        let wide = format!("{{{}}}", names.join(","));
        let shown = describe(wide.as_bytes());
        assert!(shown.ends_with("  and 480 more names") && shown.len() < 4_000, "{shown}");
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(describe(deep.as_bytes()).ends_with("1 × array of 1"));
        assert_eq!(describe(&[0xff; 20]), "no JSON (20 bytes)");
        let mut nested = "1".to_owned();
        for level in 0..7 {
            nested =
                format!("{{{}}}", (0..4).map(|n| format!("\"m{level}{n}\":{nested}")).collect::<Vec<_>>().join(","));
        }
        let shown = describe(nested.as_bytes());
        assert!(shown.ends_with("\nand more") && shown.lines().count() == 201, "{shown}");
    }
}
