//! Files as Hive writes them by its documentation; Hive itself isn't run.

use super::{Kitchen, recipe};

#[test]
fn text_files_without_escapes() {
    let kitchen = Kitchen::new();
    kitchen.place.file("warehouse/contacts/000000_0", "1\x01a@example.com\x01\"Zoë\" \\ 日本\n2\x01\\N\x01b\tc\n");
    kitchen.place.file("warehouse/contacts/000001_0", "3\x01c@example.com\x01\\N\n");
    kitchen.run(&recipe("hive")).ends_with(0);
    assert_eq!(kitchen.contact(1, "nick").as_deref(), Some("\"Zoë\" \\ 日本"));
    assert_eq!((kitchen.contact(2, "email"), kitchen.contact(2, "nick").as_deref()), (None, Some("b\tc")));
    assert_eq!((kitchen.contact(3, "email").as_deref(), kitchen.contact(3, "nick")), (Some("c@example.com"), None));
}

#[test]
fn text_files_with_escapes() {
    let kitchen = Kitchen::new();
    let rows = "1\x01a@example.com\x01a\\\x01b\\\\c\n2\x01\\N\x01\\\\N\n3\x01c@example.com\x01a\\nb\\r\\\nc\n";
    kitchen.place.file("warehouse/contacts/000000_0", rows);
    kitchen.run(&recipe("hive-escaped")).ends_with(0);
    assert_eq!(kitchen.contact(1, "nick").as_deref(), Some("a\x01b\\c"));
    assert_eq!((kitchen.contact(2, "email"), kitchen.contact(2, "nick").as_deref()), (None, Some("\\N")));
    assert_eq!(kitchen.contact(3, "nick").as_deref(), Some("a\nb\r\nc"));
}
