//! Answers of "query user information": every shape that is known reads the same, and no other says anything.

#![expect(clippy::option_option, reason = "no user, a user without the contact, and one with it are three things")]

use std::collections::BTreeMap;

use model::{Euid, profile};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const NAMES: [&str; 4] = ["email", "mobile_phone", "landline_phone", "wechat"];

/// Users with what is held of each of them; a contact may be left out, null or empty, which is all the same.
type Users = BTreeMap<u64, Vec<(&'static str, Option<Value>)>>;

/// How `data` lists its users.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outer {
    Array,
    ArrayOfDigits,
    Keyed,
    KeyedWithEuid,
}

/// How an entry lists its contacts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Inner {
    Object,
    Array(&'static str, &'static str),
    Plain,
}

const OUTER: [Outer; 4] = [Outer::Array, Outer::ArrayOfDigits, Outer::Keyed, Outer::KeyedWithEuid];
const INNER: [Inner; 8] = [
    Inner::Object,
    Inner::Plain,
    Inner::Array("name", "value"),
    Inner::Array("name", "contact_value"),
    Inner::Array("key", "value"),
    Inner::Array("key", "contact_value"),
    Inner::Array("contact_name", "value"),
    Inner::Array("contact_name", "contact_value"),
];

fn answer(users: &Users, outer: Outer, inner: Inner) -> Value {
    let entry = |euid: u64, contacts: &[(&str, Option<Value>)]| {
        let mut entry = Map::new();
        match outer {
            Outer::Array | Outer::KeyedWithEuid => drop(entry.insert("euid".to_owned(), json!(euid))),
            Outer::ArrayOfDigits => drop(entry.insert("euid".to_owned(), json!(euid.to_string()))),
            Outer::Keyed => {}
        }
        let held = contacts.iter().filter_map(|(name, value)| Some((*name, value.clone()?)));
        match inner {
            Inner::Object => {
                let contacts: Map<String, Value> = held.map(|(name, value)| (name.to_owned(), value)).collect();
                entry.insert("contacts".to_owned(), contacts.into());
            }
            Inner::Array(name_key, value_key) => {
                let contacts: Vec<Value> =
                    held.map(|(name, value)| json!({name_key: name, value_key: value})).collect();
                entry.insert("contacts".to_owned(), contacts.into());
            }
            Inner::Plain => entry.extend(held.map(|(name, value)| (name.to_owned(), value))),
        }
        Value::Object(entry)
    };
    let entries = users.iter().map(|(euid, contacts)| (euid.to_string(), entry(*euid, contacts)));
    let data: Value = match outer {
        Outer::Array | Outer::ArrayOfDigits => entries.map(|(_, entry)| entry).collect::<Vec<_>>().into(),
        Outer::Keyed | Outer::KeyedWithEuid => entries.collect::<Map<_, _>>().into(),
    };
    json!({"code": 0, "message": "success", "data": data})
}

/// What is to be read of a user: nothing of whoever isn't there, and values that are there.
fn held<'u>(users: &'u Users, euid: u64, name: &str) -> Option<Option<&'u str>> {
    let contacts = users.get(&euid)?;
    let value = contacts.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_ref()?.as_str());
    Some(value.filter(|value| !value.is_empty()))
}

fn read_of<'p>(profiles: &'p profile::Profiles, euid: u64, name: &str) -> Option<Option<&'p str>> {
    Some(profiles.get(Euid::new(euid)?)?.get(name))
}

fn users() -> impl Strategy<Value = Users> {
    let value = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => Just(Some(json!(""))),
        4 => "[ -~]{1,20}|.{1,9}".prop_map(|text| Some(json!(text))),
    ];
    let contacts =
        prop::collection::vec(value, NAMES.len()).prop_map(|values| NAMES.into_iter().zip(values).collect::<Vec<_>>());
    let euid = prop_oneof![1_u64..6, 10_000_000_000_u64..10_000_000_003, Just(i64::MAX as u64)];
    prop::collection::btree_map(euid, contacts, 0..6)
}

fn one<T: Copy + std::fmt::Debug>(of: &'static [T]) -> impl Strategy<Value = T> + Clone {
    proptest::sample::select(of)
}

/// Calls `with` on each object of a tree, in order, until it says that it has done something.
fn on_objects(value: &mut Value, with: &mut impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
    match value {
        Value::Object(members) => with(members) || members.values_mut().any(|member| on_objects(member, with)),
        Value::Array(items) => items.iter_mut().any(|item| on_objects(item, with)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn users_read_the_same_in_every_shape(users in users(), pretty in any::<bool>()) {
        for outer in OUTER {
            for inner in INNER {
                let answer = answer(&users, outer, inner);
                let body = if pretty { format!("\u{feff}\n{answer:#}") } else { answer.to_string() };
                // An entry with nothing but its EUID is one without contacts, in whatever way others show them.
                let profiles = profile::read(body.as_bytes(), &NAMES).unwrap_or_else(|e| panic!("{e}: {body}"));
                for euid in users.keys().copied().chain([6]) {
                    for name in NAMES {
                        prop_assert_eq!(read_of(&profiles, euid, name), held(&users, euid, name), "{} {}", name, body);
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_wrong_is_read_where_a_member_has_another_name(
        users in users(), outer in one(&OUTER), inner in one(&INNER), at in any::<prop::sample::Index>(),
        name in one(&["E-Mail", "mail", "mobile", "data2", "id", "kontakte", "val", "n"]), few_asked in 1_usize..=4,
    ) {
        let mut answer = answer(&users, outer, inner);
        let mut members = 0;
        on_objects(&mut answer, &mut |object| { members += object.len(); false });
        let mut left = at.index(members);
        let mut renamed = String::new();
        on_objects(&mut answer, &mut |object| {
            let Some(key) = object.keys().nth(left).cloned() else { left -= object.len(); return false };
            let value = object.remove(&key).unwrap_or_default();
            renamed.clone_from(&key);
            object.insert(name.to_owned(), value);
            true
        });
        let asked = &NAMES[..few_asked];
        if let Ok(profiles) = profile::read(answer.to_string().as_bytes(), asked) {
            for euid in users.keys().copied().chain([6]) {
                for name in asked {
                    let read = read_of(&profiles, euid, name);
                    // A contact by another name is another contact.
                    let is_missing = renamed == *name && read == Some(None);
                    prop_assert!(is_missing || read == held(&users, euid, name), "{} in {}", renamed, answer);
                }
            }
        }
    }

    #[test]
    fn nothing_wrong_is_read_of_a_part_of_an_answer(users in users(), outer in one(&OUTER), inner in one(&INNER), cut in any::<prop::sample::Index>()) {
        let body = answer(&users, outer, inner).to_string();
        let cut = cut.index(body.len());
        prop_assert!(profile::read(&body.as_bytes()[..cut], &NAMES).is_err());
    }

    #[test]
    fn any_json_and_any_bytes_are_read_or_refused(json in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for body in [json.to_string().into_bytes(), json!({"code": 0, "data": json}).to_string().into_bytes(), bytes] {
            let _ = profile::read(&body, &NAMES);
            let _ = model::registered::read(&body);
            let _ = profile::describe(&body);
        }
    }

    #[test]
    fn no_value_is_told(users in users(), outer in one(&OUTER), inner in one(&INNER), at in any::<prop::sample::Index>(), junk in any_json()) {
        let marked = |value: &Option<Value>| value.as_ref().map(|value| match value.as_str() {
            Some(text) if !text.is_empty() => json!(format!("SECRET{text}")),
            _ => value.clone(),
        });
        let users: Users = users.iter().map(|(euid, contacts)| {
            (*euid, contacts.iter().map(|(name, value)| (*name, marked(value))).collect())
        }).collect();
        let mut answer = answer(&users, outer, inner);
        let mut left = at.index(20);
        on_objects(&mut answer, &mut |object| {
            left = left.saturating_sub(1);
            if left == 0 {
                object.insert("junk".to_owned(), junk.clone());
            }
            left == 0
        });
        let body = answer.to_string();
        let told = match profile::read(body.as_bytes(), &NAMES) {
            Ok(profiles) => format!("{profiles:?}"),
            Err(error) => error.to_string(),
        };
        for text in [told, profile::describe(body.as_bytes())] {
            prop_assert!(!text.contains("SECRET") && !text.contains("9223372036854775807\":"), "{}", text);
        }
    }
}

fn profiles(data: &str, names: &[&str]) -> Result<profile::Profiles, String> {
    profile::read(format!(r#"{{"code":0,"message":"success","data":{data}}}"#).as_bytes(), names)
        .map_err(|error| error.to_string())
}

#[test]
fn what_is_understood() {
    let names = ["email", "mobile_phone"];
    for (data, expected) in [
        // Whom the answer doesn't mention, it doesn't know.
        ("[]", None),
        ("{}", None),
        (r#"[{"euid":8,"contacts":{"email":"a"}}]"#, None),
        // Nothing but its EUID, null, empty, missing: no contacts.
        (r#"[{"euid":7}]"#, Some([None, None])),
        (r#"{"7":{}}"#, Some([None, None])),
        (r#"[{"euid":7,"contacts":null,"user_identities":{"user_id":"u"}}]"#, Some([None, None])),
        (r#"[{"euid":7,"contacts":{}}]"#, Some([None, None])),
        (r#"[{"euid":7,"contacts":[]}]"#, Some([None, None])),
        (r#"[{"euid":7,"contacts":{"email":null,"mobile_phone":""}}]"#, Some([None, None])),
        (r#"[{"euid":7,"contacts":[{"name":"email"},{"name":"mobile_phone","value":null}]}]"#, Some([None, None])),
        // Values as they stand.
        (r#"[{"euid":"007","contacts":{"email":" A@example.com\u00fc "}}]"#, Some([Some(" A@example.comü "), None])),
        (r#"{"007":{"contacts":{"email":"a"}}}"#, Some([Some("a"), None])),
        // What else an entry says is of no account where its contacts are known to be all there.
        (r#"[{"nickname":"x","euid":7,"contacts":{"email":"a"}}]"#, Some([Some("a"), None])),
        (r#"[{"euid":7,"contacts":[{"id":1,"name":"email","value":"a","verified":true}]}]"#, Some([Some("a"), None])),
        (
            r#"[{"euid":7,"contacts":[{"name":"email","value":"a"},{"name":"email","value":"a"}]}]"#,
            Some([Some("a"), None]),
        ),
        (r#"[{"euid":7,"email":"a","mobile_phone":null,"nickname":"x"}]"#, Some([Some("a"), None])),
        (r#"[{"euid":7,"email":"a","user_properties":{"age":7},"tags":[],"nickname":""}]"#, Some([Some("a"), None])),
        // Contacts that weren't asked for, but are documented.
        (r#"[{"euid":7,"contacts":{"whatsapp_phone":"1","email":"a"}}]"#, Some([Some("a"), None])),
        (r#"[{"euid":7,"contacts":[{"name":"whatsapp_phone","value":"1"}]}]"#, Some([None, None])),
        (r#"[{"euid":7,"whatsapp_phone":"1","mobile_phone":"2"}]"#, Some([None, Some("2")])),
        // Others, where all that was asked for is there.
        (r#"[{"euid":7,"contacts":{"wechat":"1","email":"a","mobile_phone":null}}]"#, Some([Some("a"), None])),
        // One user twice, alike.
        (r#"[{"euid":7,"email":"a"},{"euid":8},{"euid":"7","contacts":{"email":"a"}}]"#, Some([Some("a"), None])),
    ] {
        let profiles = profiles(data, &names).unwrap_or_else(|error| panic!("{error}: {data}"));
        let profile = Euid::new(7).and_then(|euid| profiles.get(euid));
        assert_eq!(profile.map(|profile| names.map(|name| profile.get(name))), expected, "{data}");
    }
}

#[test]
fn what_is_not_understood_is_told_in_names_and_types() {
    let neither = |what: &str| {
        format!(r#"an entry of "data" has neither "contacts" nor a contact that was asked for, but {what}"#)
    };
    let no_item = |what: &str| format!(r#"an item of "contacts" bears no single name and value, but {what}"#);
    let not_text = |which: &str, kind: &str| format!("a contact, {which}, is {kind}, not text");
    for (data, told) in [
        ("null", r#""data" is null, neither an array nor an object"#.to_owned()),
        (r#""secret""#, r#""data" is text, neither an array nor an object"#.to_owned()),
        (r#"{"users":[]}"#, r#""data" is an object, and not all of its keys are EUIDs"#.to_owned()),
        (r#"{"euid":7,"contacts":{}}"#, r#""data" is an object, and not all of its keys are EUIDs"#.to_owned()),
        (r#"{"0":{"euid":7}}"#, r#""data" is an object, and not all of its keys are EUIDs"#.to_owned()),
        (r#"{"1":{"euid":7}}"#, r#"an entry of "data" bears another "euid" than its key"#.to_owned()),
        (r#"{"7":null}"#, r#"an entry of "data" is null, not an object"#.to_owned()),
        (r#"{"7":[{"name":"email","value":"a"}]}"#, r#"an entry of "data" is an array, not an object"#.to_owned()),
        ("[7]", r#"an entry of "data" is an integer, not an object"#.to_owned()),
        ("[{}]", r#"an entry of "data" has no "euid", but nothing"#.to_owned()),
        (
            r#"[{"uid":7,"secret@example.com":1,"contacts":null}]"#,
            r#"an entry of "data" has no "euid", but "uid" (an integer), "contacts" (null), 1 more"#.to_owned(),
        ),
        (r#"[{"euid":7.0}]"#, r#"the "euid" of an entry of "data" is a number, and no EUID"#.to_owned()),
        (r#"[{"euid":"secret"}]"#, r#"the "euid" of an entry of "data" is text, and no EUID"#.to_owned()),
        (r#"[{"euid":7,"kontakte":{"email":"a"}}]"#, neither(r#""euid" (an integer), "kontakte" (an object)"#)),
        (r#"[{"euid":7},{"euid":8,"x":null}]"#, neither(r#""euid" (an integer), "x" (null)"#)),
        (r#"[{"euid":7,"whatsapp_phone":"1"}]"#, neither(r#""euid" (an integer), "whatsapp_phone" (text)"#)),
        (r#"{"7":{"+12015550101":"email"}}"#, neither("1 other members")),
        (
            r#"[{"euid":7,"contacts":{},"email":null}]"#,
            r#"an entry of "data" has "contacts" and contacts beside them"#.to_owned(),
        ),
        (r#"[{"euid":7,"contacts":""}]"#, r#""contacts" is text, neither an object nor an array"#.to_owned()),
        (r#"[{"euid":7,"contacts":{"mobile_phone":12015550101}}]"#, not_text(r#""mobile_phone""#, "an integer")),
        (r#"[{"euid":7,"contacts":{"wechat":["secret"]}}]"#, not_text(r#""wechat""#, "an array")),
        (r#"[{"euid":7,"contacts":{"secret@example.com":true}}]"#, not_text("of some name", "a boolean")),
        (r#"[{"euid":7,"contacts":{"email":{"value":"a"}}}]"#, not_text(r#""email""#, "an object")),
        (r#"[{"euid":7,"email":1.5}]"#, not_text(r#""email""#, "a number")),
        (r#"[{"euid":7,"contacts":["secret"]}]"#, r#"an item of "contacts" is text, not an object"#.to_owned()),
        (r#"[{"euid":7,"contacts":[{"email":"a"}]}]"#, no_item(r#""email" (text)"#)),
        (r#"[{"euid":7,"contacts":[{"name":"email","val":"a"}]}]"#, no_item(r#""name" (text), "val" (text)"#)),
        (
            r#"[{"euid":7,"contacts":[{"name":"email","key":"email","value":"a"}]}]"#,
            no_item(r#""name" (text), "key" (text), "value" (text)"#),
        ),
        (
            r#"[{"euid":7,"contacts":[{"name":"email","value":"a","contact_value":"a"}]}]"#,
            no_item(r#""name" (text), "value" (text), "contact_value" (text)"#),
        ),
        (r#"[{"euid":7,"contacts":[{"name":1,"value":"a"}]}]"#, no_item(r#""name" (an integer), "value" (text)"#)),
        (
            r#"[{"euid":7,"contacts":[{"name":"email","value":"a"},{"name":"email","value":"b"}]}]"#,
            r#"an entry of "data" has two contacts "email""#.to_owned(),
        ),
        (
            r#"[{"euid":7,"email":"a"},{"euid":7,"email":"b"}]"#,
            r#"two entries of "data" bear one EUID and differ"#.to_owned(),
        ),
        (
            r#"{"7":{"email":"a"},"007":{"email":"a","mobile_phone":"1"}}"#,
            r#"two entries of "data" bear one EUID and differ"#.to_owned(),
        ),
        (r#"[{"euid":7,"euid":7}]"#, r#"an object of the answer has two members "euid""#.to_owned()),
        (
            r#"[{"euid":7,"contacts":{"email":"a","email":"a"}}]"#,
            r#"an object of the answer has two members "email""#.to_owned(),
        ),
        (r#"{"12015550101":{},"12015550101":{}}"#, "an object of the answer has two members of one name".to_owned()),
    ] {
        let error = profiles(data, &["email", "mobile_phone"]).map(|profiles| format!("{profiles:?}")).expect_err(data);
        assert_eq!(error, told, "{data}");
    }
    for (body, told) in [
        ("<html>", "the answer is no JSON"),
        (r#"{"code":0,"message":"success"}"#, r#"the answer has no "data""#),
        (r#"{"code":0,"data":[]}{"code":0}"#, "the answer is no JSON"),
        (r#"[{"euid":7}]"#, "the answer is an array, not an object"),
    ] {
        assert_eq!(profile::read(body.as_bytes(), &NAMES).expect_err(body).to_string(), told, "{body}");
    }
}

#[test]
fn a_contact_may_be_called_as_a_part_of_an_entry_is() {
    let read = |data: &str| {
        profiles(data, &["euid", "contacts"]).map(|profiles| {
            let profile = Euid::new(7).and_then(|euid| profiles.get(euid)).cloned();
            profile.map(|profile| ["euid", "contacts"].map(|name| profile.get(name).map(str::to_owned)))
        })
    };
    let held = Some([Some("e".to_owned()), Some("c".to_owned())]);
    assert_eq!(read(r#"[{"euid":7,"contacts":{"euid":"e","contacts":"c"}}]"#), Ok(held));
    assert_eq!(read(r#"[{"euid":7}]"#), Ok(Some([None, None])));
    for data in [r#"[{"euid":7,"contacts":"c"}]"#, r#"{"7":{"euid":"e","contacts":"c"}}"#, r#"[{"euid":7,"x":"c"}]"#] {
        assert!(read(data).is_err(), "{data}");
    }
    let plain = profiles(r#"[{"euid":7,"email":"a"}]"#, &["email", "euid"]);
    assert!(plain.is_err(), "{plain:?}");
    // One that is asked for twice is one.
    assert!(profiles(r#"[{"euid":7,"email":"a","nickname":"x"}]"#, &["email", "email"]).is_ok());
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = one(&["data", "euid", "contacts", "email", "name", "value", "key", "code", "7", "8", "x"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        one(&["", "7", "email", "a@example.com"]).prop_map(Value::from),
        (1_u64..9).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}
