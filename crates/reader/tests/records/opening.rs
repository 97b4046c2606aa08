//! What is wrong with an input shows as it is opened.

use super::*;

fn refusal(name: &str, bytes: &[u8], options: &ReaderOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, name, bytes);
    let error = open_all(std::slice::from_ref(&path), options).unwrap_err();
    let hint = error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default();
    format!("{error}{hint}").replace(&path, name)
}

#[test]
fn what_is_wrong_with_an_input_shows_before_anything_is_sent() {
    let known = ReaderOptions::default();
    for (name, bytes, expected) in [
        (
            "a.csv",
            &b"euid,emial,name\n"[..],
            "a.csv: has columns that are no known contact: \"emial\", \"name\" (did you mean \"email\" by \"emial\"?) | say what is sent: `--contacts mobile_phone,email`",
        ),
        ("a.csv", b"id,email\n", "a.csv: has no column \"euid\"; its columns are: \"id\", \"email\""),
        (
            "a.csv",
            b"euid,email,EMAIL\n",
            "a.csv: columns 2 and 3 are both \"email\", and only one can be sent; its columns are: \"euid\", \"email\", \"EMAIL\"",
        ),
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", b"PK\x03\x04xl", "a.csv: is a zip or xlsx file"),
        ("a.csv", b"\xfd7zXZ\0...", "a.csv: is xz-compressed"),
        ("a.csv", b"BZh91AY", "a.csv: is bzip2-compressed"),
        ("a", b"PAR1....", "a: is a Parquet file"),
        (
            "a.csv.zst",
            b"\x28\xb5\x2f\xfd\x04\xa8\x01\0\0",
            "a.csv.zst: is zstd-compressed with a window of more than 128 MiB (`--long`), which can't be read | decompress it on the way: `zstd -dc --long=31 FILE",
        ),
        ("a", b"[{\"euid\":1,\"nick\":\"b\"}]", "a: has a column that is no known contact: \"nick\""),
        ("a.json", b"{\n\"euid\":1\n}\n", "a.json: is JSON, but not an object a line"),
        (
            "a",
            b"{\"data\":[{\"euid\":1},\n{\"euid\":2}]}\n",
            "a: is JSON, but not an object a line (NDJSON), which can't be read | for an object that holds an array: `jq -c '.data[]'",
        ),
        (
            "a.json",
            b"{\"code\":0,\"data\": [ {\"euid\":1},{\"euid\":2}]}",
            "a.json: is JSON, but not an object a line (NDJSON), which can't be read | for an object that holds an array: `jq -c '.data[]'",
        ),
        (
            "a.ndjson",
            b"[{\"euid\":1}]\n",
            "a.ndjson: is JSON, but not an object a line (NDJSON), which can't be read | for an array of objects: `--format json`",
        ),
        ("a.ndjson", b"euid,email\n1,a\n", "a.ndjson: is no NDJSON"),
        ("a.jsonl", b"{\"euid\":1,\"nick\":\"b\"}\n", "a.jsonl: has a column that is no known contact: \"nick\""),
    ] {
        let said = refusal(name, bytes, &known);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn what_is_kept_of_a_pipe_to_tell_its_format_is_bounded() {
    // 200 lines of nearly a mebibyte, none of them an object: a pipe that goes on would never be read to its end.
    let (reader, mut writer) = io::pipe().unwrap();
    let writing = std::thread::spawn(move || {
        let line = [b"{".to_vec(), vec![b'x'; (1 << 20) - 10], b"\n".to_vec()].concat();
        let mut written = 0;
        while written < 200 && writer.write_all(&line).is_ok() {
            written += 1;
        }
        written
    });
    let options = ReaderOptions { format: Some(Format::Ndjson), ..ReaderOptions::default() };
    let opened = open_all(&[format!("/dev/fd/{}", reader.as_raw_fd())], &options);
    drop(reader);
    assert!(matches!(opened, Err(OpenError::Format { .. })), "{opened:?}");
    let written = writing.join().unwrap();
    assert!(written < 5, "{written} lines were taken before it was given up");
}

#[test]
fn long_lines_are_told_from_a_document_by_their_own_keys() {
    let long = "x".repeat(2 << 20);
    let options = ReaderOptions::default();
    for text in [
        format!("{{\"data\":[{{\"euid\":1,\"email\":\"{long}\"}}]}}"),
        format!("{{\"data\":\n\"{long}\",\n\"euid\":1}}"),
    ] {
        let said = refusal("a.json", text.as_bytes(), &options);
        assert!(said.starts_with("a.json: is JSON, but not an object a line"), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{{\"x\":[\"}}\\\"\"],\"euid\":1,\"email\":\"{long}\"}}\n{{\"euid\":2,\"email\":\"b\"}}\n");
    let path = file(&folder, "a.ndjson", text.as_bytes());
    for rows in [opened(&path, &options), piped(text.as_bytes(), Format::Ndjson, &options)] {
        assert!(rows[0].contains("the record has 2097"), "{}", rows[0]);
        assert_eq!(rows[1..], ["2@2 2 email=b"]);
    }
}

#[test]
fn an_input_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.csv", b"euid,email\n");
    let link = folder.path().join("b.csv");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let options = ReaderOptions::default();
    for second in [path.clone(), link.to_str().unwrap().to_owned()] {
        assert!(matches!(open_all(&[path.clone(), second], &options), Err(OpenError::Twice { .. })));
    }
    let missing = folder.path().join("none.csv").to_str().unwrap().to_owned();
    assert!(matches!(open_all(&[missing], &options), Err(OpenError::Missing(_))));
    assert!(matches!(open_all(&[folder.path().to_str().unwrap().to_owned()], &options), Err(OpenError::Folder(_))));
}
