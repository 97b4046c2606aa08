//! Answers of the API as a tree that borrows its texts: what isn't known by its shape can't be read into a struct.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::{Euid, UnknownShape, shown_name};

/// A JSON value. An object's members stand in their order, also two of one name.
#[derive(Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Boolean,
    /// One that fits; any other number is a `Number`.
    Integer(u64),
    Number,
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<Member<'a>>),
}

/// A member of an object: its name and value.
pub(crate) type Member<'a> = (Cow<'a, str>, Json<'a>);

/// An object of so many members is looked through for each of them; a larger one isn't.
const FEW_MEMBERS: usize = 12;

impl<'a> Json<'a> {
    /// Reads a body; a byte order mark in front of it is of no account, as for every answer.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        serde_json::from_slice(body).ok()
    }

    /// The `data` of an answer's body, in which no object has two members of one name.
    pub(crate) fn data_of(body: &'a [u8]) -> Result<Option<Self>, UnknownShape> {
        let Some(answer) = Self::parse(body) else { return Err(UnknownShape::new("the answer is no JSON")) };
        if let Some(name) = answer.repeated_name() {
            let shown = if is_name(name) { shown_name(name) } else { "of one name".to_owned() };
            return Err(UnknownShape::new(format!("an object of the answer has two members {shown}")));
        }
        let Self::Object(members) = answer else {
            return Err(UnknownShape::new(format!("the answer is {}, not an object", answer.kind())));
        };
        Ok(members.into_iter().find(|(name, _)| name == "data").map(|(_, data)| data))
    }

    /// What it is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Number => "a number",
            Self::Text(_) => "text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// An EUID, as an integer or its digits.
    pub(crate) fn euid(&self) -> Option<Euid> {
        match self {
            Self::Integer(number) => Euid::new(*number),
            Self::Text(text) => euid_of(text),
            _ => None,
        }
    }

    /// The first name that two members of one object bear.
    fn repeated_name(&self) -> Option<&str> {
        match self {
            Self::Array(items) => items.iter().find_map(Json::repeated_name),
            Self::Object(members) => {
                repeated(members).or_else(|| members.iter().find_map(|(_, it)| it.repeated_name()))
            }
            _ => None,
        }
    }
}

/// The EUID of a text that is nothing but its digits.
pub(crate) fn euid_of(digits: &str) -> Option<Euid> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| Euid::parse(digits).ok()).flatten()
}

/// Whether a member's name can be told: one that begins like a name and holds hardly a digit. An object's keys can be
/// what others write as values, addresses and numbers of people.
pub(crate) fn is_name(key: &str) -> bool {
    let begins_like_one = key.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let is_plain = key.chars().all(|c| c.is_alphanumeric() || "_-. ".contains(c));
    begins_like_one && is_plain && key.chars().filter(|c| c.is_numeric()).count() < 4
}

fn repeated<'m>(members: &'m [Member<'_>]) -> Option<&'m str> {
    let mut names = members.iter().map(|(name, _)| &**name);
    if members.len() <= FEW_MEMBERS {
        return (1..members.len()).find_map(|at| {
            let name = &*members[at].0;
            members[..at].iter().any(|(before, _)| before == name).then_some(name)
        });
    }
    let mut seen = HashSet::with_capacity(members.len());
    names.find(|name| !seen.insert(*name))
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some((Key(name), value)) = members.next_entry()? {
            object.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

/// A member's name, borrowed where it stands without an escape.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_members_of_one_name_are_found_wherever_they_stand() {
        let many: Vec<String> = (0..40).map(|n| format!("\"n{n}\":0")).collect();
        let many = many.join(",");
        for (body, repeated) in [
            (r#"{"a":1,"b":{"c":[{"d":1,"\u0064":2}]}}"#, Some("d")),
            (r#"{"a":1,"b":{"a":[{"a":1}]}}"#, None),
            (&*format!("[{{{many}}}]"), None),
            (&*format!("[{{{many},\"n7\":1}}]"), Some("n7")),
        ] {
            let json = Json::parse(body.as_bytes()).expect(body);
            assert_eq!(json.repeated_name(), repeated, "{body}");
        }
    }

    #[test]
    fn what_could_be_a_value_is_no_name() {
        for name in ["email", "mobile_phone", "_id", "phone2", "Größe", "名字", "a.b-c d"] {
            assert!(is_name(name), "{name}");
        }
        for key in ["", "7", "+12015550101", "a@example.com", "u12015550101", "\u{1b}[1m", "a\nb"] {
            assert!(!is_name(key), "{key}");
        }
    }

    #[test]
    fn numbers_are_euids_only_where_they_are_written_so() {
        for (text, euid) in [
            ("7", Some(7)),
            ("\"007\"", Some(7)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("0", None),
            ("-7", None),
            ("7.0", None),
            ("7e0", None),
            ("\"\"", None),
            ("\" 7\"", None),
            ("\"+7\"", None),
            ("\"7.0\"", None),
            ("[7]", None),
            ("true", None),
            ("null", None),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).expect(text).euid().map(Euid::get), euid, "{text}");
        }
    }
}
