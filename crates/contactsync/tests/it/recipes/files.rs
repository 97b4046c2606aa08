//! Several files.

use super::{Kitchen, recipe};

fn sources(kitchen: &Kitchen) -> Vec<String> {
    let mut paths = std::fs::read_dir(kitchen.place.path("")).unwrap().map(|entry| entry.unwrap().path());
    let run = paths.find(|path| path.extension().is_some_and(|end| end == "run")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(run).unwrap()).unwrap();
    run["inputs"].as_array().unwrap().iter().map(|input| input["source"].as_str().unwrap().to_owned()).collect()
}

fn kitchen(names: &[&str]) -> Kitchen {
    let kitchen = Kitchen::new();
    for (euid, name) in (1..).zip(names) {
        kitchen.place.file(name, format!("euid,email\n{euid},{euid}@example.com\n7,{euid}@example.com\n"));
    }
    kitchen
}

#[test]
fn a_glob_is_sorted_by_the_shell() {
    let kitchen =
        kitchen(&["exports/contacts-b.csv", "exports/contacts-A.csv", "exports/contacts-a.csv", "exports/other.csv"]);
    kitchen.run(&recipe("glob")).ends_with(0);
    assert_eq!(sources(&kitchen), ["exports/contacts-A.csv", "exports/contacts-a.csv", "exports/contacts-b.csv"]);
    assert_eq!(kitchen.contact(7, "email").as_deref(), Some("1@example.com"), "the last one wins");
    assert!(!kitchen.service.record().any_overlap());
}

#[test]
fn a_list_of_numbered_parts() {
    let kitchen = kitchen(&["exports/part-10.csv", "exports/part-9.csv", "exports/part-1.csv"]);
    kitchen.run(&recipe("list")).ends_with(0);
    assert_eq!(sources(&kitchen), ["exports/part-1.csv", "exports/part-9.csv", "exports/part-10.csv"]);
}

#[test]
fn what_find_finds() {
    let kitchen = kitchen(&["last-night", "exports/b b.csv", "exports/a\nb.csv", "exports/old.csv"]);
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_hours(24);
    for old in ["last-night", "exports/old.csv"] {
        std::fs::File::open(kitchen.place.path(old)).unwrap().set_modified(yesterday).unwrap();
    }
    kitchen.run(&recipe("find")).ends_with(0);
    assert_eq!(sources(&kitchen), ["exports/a\nb.csv", "exports/b b.csv"]);
}
