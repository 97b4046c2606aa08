//! What the benchmarks' server says of users: computed from their EUIDs and ids, so that it holds nothing. Read and
//! written by hand, so that what is measured is who asks.

use std::io::Write;

use super::nights;

/// The answer to `POST /v1/user/profile`: each user that the export without changes has, as it stands there.
pub(crate) fn profiles(request: &[u8]) -> Vec<u8> {
    let mut data = Data::with_capacity(16 << 10);
    for euid in numbers(after(request, br#""euid":["#)) {
        if let Some(number) = nights::number_of(euid) {
            let (phone, email) = (nights::phone(number, false), nights::Email(number));
            data.push(format_args!(r#"{{"euid":{euid},"contacts":{{"mobile_phone":"{phone}","email":"{email}"}}}}"#));
        }
    }
    data.end()
}

/// The answer to `POST /v1/user/register`: the EUID of the export's row that has the id.
pub(crate) fn registered(request: &[u8]) -> Vec<u8> {
    let mut data = Data::with_capacity(8 << 10);
    // Ids of the exports have nothing that JSON escapes.
    let mut values = after(request, br#""identity_values":["#);
    while let Some(id) = next_text(&mut values) {
        if let Some(number) = nights::number_of_id(id) {
            let (id, euid) = (nights::Id(number), nights::euid(number));
            data.push(format_args!(r#"{{"identity_value":"{id}","euid":{euid}}}"#));
        }
    }
    data.end()
}

/// An answer whose `data` is an array.
struct Data {
    text: Vec<u8>,
    is_empty: bool,
}

impl Data {
    fn with_capacity(bytes: usize) -> Self {
        let mut text = Vec::with_capacity(bytes);
        text.extend_from_slice(br#"{"code":0,"message":"success","data":["#);
        Self { text, is_empty: true }
    }

    fn push(&mut self, entry: std::fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.text.push(b',');
        }
        // Writing to memory can't fail.
        let _ = self.text.write_fmt(entry);
    }

    fn end(mut self) -> Vec<u8> {
        self.text.extend_from_slice(b"]}");
        self.text
    }
}

/// What stands behind the first such key; nothing where it isn't there.
fn after<'b>(body: &'b [u8], key: &[u8]) -> &'b [u8] {
    memchr::memmem::find(body, key).map_or(&[], |at| &body[at + key.len()..])
}

/// The numbers up to the end of an array.
fn numbers(mut items: &[u8]) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || {
        while let Some((b',' | b' ', rest)) = items.split_first() {
            items = rest;
        }
        let digits = items.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = items.split_at(digits);
        items = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    })
}

/// The next text of an array, without its quotes.
fn next_text<'b>(items: &mut &'b [u8]) -> Option<&'b [u8]> {
    let ([b'"', rest @ ..] | [b',', b'"', rest @ ..]) = items else { return None };
    let end = memchr::memchr(b'"', rest)?;
    *items = &rest[end + 1..];
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use model::{Euid, profile, wire};

    use super::*;

    #[test]
    fn users_are_as_the_export_has_them() {
        let euids: Vec<Euid> = (0..100).map(|number| Euid::new(nights::euid(number * 7)).unwrap()).collect();
        let names = ["mobile_phone", "email"];
        let asked = serde_json::to_vec(&wire::ReadProfiles { euid: &euids, contacts: &names }).unwrap();
        let told = profile::read(&profiles(&asked), &names).unwrap();
        for (number, euid) in (0..).step_by(7).zip(euids) {
            let mut row = String::new();
            nights::row(&mut row, nights::Key::Euid, number, false);
            let user = told.get(euid).unwrap();
            let there = format!("{euid},{},{}\n", user.get(names[0]).unwrap(), user.get(names[1]).unwrap());
            assert_eq!(there, row);
        }
        let unknown = Euid::new(nights::euid(0) - 1).unwrap();
        let asked = serde_json::to_vec(&wire::ReadProfiles { euid: &[unknown], contacts: &names }).unwrap();
        assert!(profile::read(&profiles(&asked), &names).unwrap().get(unknown).is_none());
    }

    #[test]
    fn ids_belong_to_the_users_of_their_rows() {
        let ids: Vec<String> = (0..100).map(|number| nights::Id(number * 31).to_string()).collect();
        let asked = wire::Register { identity_name: "user_id".to_owned(), identity_values: ids.clone() };
        let told = model::registered::read(&registered(&serde_json::to_vec(&asked).unwrap())).unwrap();
        for (number, id) in (0..).step_by(31).zip(ids) {
            assert_eq!(told.get(&id).map(Euid::get), Some(nights::euid(number)));
        }
    }
}
