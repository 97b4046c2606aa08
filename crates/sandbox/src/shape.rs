use std::str::FromStr;

use serde_json::{Map, Value, json};

/// How answers that hold users list them. The documentation shows none, so each that clients may meet is here, and one
/// that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProfileShape {
    /// `[{"euid": 1, "contacts": {"email": "…"}}]`
    #[default]
    Object,
    /// The same, contacts that aren't there as null.
    Nulls,
    /// The same, contacts that aren't there as "".
    Empties,
    /// The same, EUIDs as text.
    Digits,
    /// `[{"euid": 1, "contacts": [{"name": "email", "value": "…"}]}]`
    NameValue,
    /// `[{"euid": 1, "contacts": [{"key": "email", "value": "…"}]}]`
    KeyValue,
    /// `[{"euid": 1, "contacts": [{"contact_name": "email", "contact_value": "…"}]}]`
    ContactName,
    /// `[{"euid": 1, "email": "…"}]`
    Plain,
    /// `{"1": {"contacts": {"email": "…"}}}`
    Keyed,
    /// `[{"id": 1, "channels": {"email": "…"}}]`, which nobody understands.
    Unknown,
}

/// A text names no shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is one of {}", ProfileShape::ALL.map(ProfileShape::name).join(", "))]
pub struct NoSuchShape;

impl ProfileShape {
    /// All there are.
    pub const ALL: [Self; 10] = [
        Self::Object,
        Self::Nulls,
        Self::Empties,
        Self::Digits,
        Self::NameValue,
        Self::KeyValue,
        Self::ContactName,
        Self::Plain,
        Self::Keyed,
        Self::Unknown,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Nulls => "nulls",
            Self::Empties => "empties",
            Self::Digits => "digits",
            Self::NameValue => "name-value",
            Self::KeyValue => "key-value",
            Self::ContactName => "contact-name",
            Self::Plain => "plain",
            Self::Keyed => "keyed",
            Self::Unknown => "unknown",
        }
    }

    /// The `data` of an answer: users with their contacts, of which these names were asked for.
    pub(crate) fn data(self, users: &[(u64, Map<String, Value>)], names: &[String]) -> Value {
        if self == Self::Keyed {
            let entries = users.iter().map(|(euid, held)| (euid.to_string(), json!({"contacts": held})));
            return entries.collect::<Map<_, _>>().into();
        }
        users.iter().map(|(euid, held)| self.entry(*euid, held, names)).collect()
    }

    fn entry(self, euid: u64, held: &Map<String, Value>, names: &[String]) -> Value {
        let filled = |filler: Value| {
            let value = |name: &String| held.get(name).cloned().unwrap_or_else(|| filler.clone());
            names.iter().map(|name| (name.clone(), value(name))).collect::<Map<_, _>>()
        };
        let list = |name: &str, value: &str| {
            held.iter().map(|(held, text)| json!({name: held, value: text})).collect::<Vec<_>>()
        };
        match self {
            Self::Object | Self::Keyed => json!({"euid": euid, "contacts": held}),
            Self::Nulls => json!({"euid": euid, "contacts": filled(Value::Null)}),
            Self::Empties => json!({"euid": euid, "contacts": filled(json!(""))}),
            Self::Digits => json!({"euid": euid.to_string(), "contacts": held}),
            Self::NameValue => json!({"euid": euid, "contacts": list("name", "value")}),
            Self::KeyValue => json!({"euid": euid, "contacts": list("key", "value")}),
            Self::ContactName => json!({"euid": euid, "contacts": list("contact_name", "contact_value")}),
            Self::Plain => [("euid".to_owned(), json!(euid))].into_iter().chain(held.clone()).collect(),
            Self::Unknown => json!({"id": euid, "channels": held}),
        }
    }
}

impl FromStr for ProfileShape {
    type Err = NoSuchShape;

    fn from_str(text: &str) -> Result<Self, NoSuchShape> {
        Self::ALL.into_iter().find(|shape| shape.name() == text).ok_or(NoSuchShape)
    }
}

#[cfg(test)]
mod tests {
    use model::{Euid, profile};

    use super::*;

    #[test]
    fn every_shape_but_one_says_the_same() {
        let held = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>()
        };
        let users =
            [(7, held(&[("email", "a@example.com")])), (8, Map::new()), (9, held(&[("wechat", "w"), ("email", "b")]))];
        let names = ["email", "wechat"];
        let asked = names.map(str::to_owned);
        for shape in ProfileShape::ALL {
            assert_eq!(shape.name().parse(), Ok(shape));
            let body = json!({"code": 0, "message": "success", "data": shape.data(&users, &asked)}).to_string();
            let read = profile::read(body.as_bytes(), &names);
            if shape == ProfileShape::Unknown {
                assert!(read.is_err(), "{read:?}");
                continue;
            }
            let read = read.unwrap();
            for (euid, held) in &users {
                let profile = read.get(Euid::new(*euid).unwrap()).unwrap();
                for name in names {
                    let expected = held.get(name).and_then(Value::as_str);
                    assert_eq!(profile.get(name), expected, "{name} of {euid} in {}", shape.name());
                }
            }
            assert!(read.get(Euid::new(10).unwrap()).is_none());
        }
        assert!("x".parse::<ProfileShape>().unwrap_err().to_string().starts_with("it is one of object, nulls, "));
    }
}
