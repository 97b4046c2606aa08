//! One JSON object, looked at without losing a digit.

use std::{borrow::Cow, collections::HashSet, fmt};

use model::shown_name;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of a JSON object in order, keys unescaped, values as written.
pub(crate) struct Object<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads an object; else says what is wrong, without quoting a value.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err("not a JSON object".to_owned());
        }
        let object: Self = serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            format!("invalid JSON at column {}: {message}", error.column())
        })?;
        match object.duplicate() {
            Some(key) => Err(format!("the key {} stands there twice", shown_name(key))),
            None => Ok(object),
        }
    }

    fn duplicate(&self) -> Option<&str> {
        const FEW: usize = 16;
        if self.0.len() <= FEW {
            let earlier = |index: usize| self.0[..index].iter().any(|(key, _)| *key == self.0[index].0);
            return (0..self.0.len()).find(|index| earlier(*index)).map(|index| &*self.0[index].0);
        }
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().map(|(key, _)| &**key).find(|key| !seen.insert(*key))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(4);
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &RawValue>()? {
                    members.push((key, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value by kind.
pub(crate) enum Scalar<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(&'a str),
    Other(&'static str, &'a str),
}

/// What a value is. None where its text has an escape that stands for no character.
pub(crate) fn scalar(value: &RawValue) -> Option<Scalar<'_>> {
    let text = value.get();
    Some(match text.as_bytes().first() {
        Some(b'"') => match text.get(1..text.len() - 1) {
            Some(plain) if !plain.contains('\\') => Scalar::Text(Cow::Borrowed(plain)),
            _ => Scalar::Text(Cow::Owned(serde_json::from_str(text).ok()?)),
        },
        Some(b'n') => Scalar::Null,
        Some(b't' | b'f') => Scalar::Other("a boolean", text),
        Some(b'[') => Scalar::Other("an array", text),
        Some(b'{') => Scalar::Other("an object", text),
        _ if text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) => Scalar::Integer(text),
        _ => Scalar::Other("a fraction", text),
    })
}
