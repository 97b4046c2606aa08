//! Inputs as files: cut, changed, read again; how far they are read.

use super::*;

#[test]
fn zeros_behind_gzip_are_let_pass_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let rows = gz(b"euid,email\n1,a\n");
    let more = gz(b"2,b\n");
    for (behind, expected, is_whole) in [
        (vec![], 1, true),
        (vec![0; 300_000], 1, true),
        ([more.clone(), vec![0; 512]].concat(), 2, true),
        ([vec![0; 512], more].concat(), 1, false),
        (b"\0\0x".to_vec(), 1, false),
        (b"garbage".to_vec(), 1, false),
    ] {
        let path = file(&folder, "a.csv.gz", &[rows.clone(), behind].concat());
        let mut input = open_all(&[path], &ReaderOptions::default()).unwrap().pop().unwrap();
        let (read, error) = drain(input.records().unwrap());
        assert_eq!((read.len(), error.is_none()), (expected, is_whole), "{error:?}");
    }
}

#[test]
fn a_cut_record_is_never_delivered() {
    let text: String = std::iter::once("euid,email\n".to_owned())
        .chain((1..400).map(|row| format!("{row},{row}{row}{row}@example.com\n")))
        .collect();
    let whole = csv(&text);
    let folder = tempfile::tempdir().unwrap();
    for (name, packed) in
        [("a.csv.gz", gz(text.as_bytes())), ("a.csv.zst", zstd::encode_all(text.as_bytes(), 3).unwrap())]
    {
        for length in 8..packed.len() {
            let path = file(&folder, name, &packed[..length]);
            let Ok(mut inputs) = open_all(&[path], &ReaderOptions::default()) else { continue };
            let (rows, error) = drain(inputs.pop().unwrap().records().unwrap());
            assert_eq!(rows, whole[..rows.len()], "cut at {length}");
            assert!(error.is_some(), "cut at {length}");
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_loses_its_unterminated_end() {
    let folder = tempfile::tempdir().unwrap();
    for (before, rows_left) in [(&b"euid,email\n1,a\n2,b"[..], 1), (b"euid,email\n1,a\n2,b\n", 2)] {
        let path = file(&folder, "a.csv", before);
        let mut input = open_all(std::slice::from_ref(&path), &ReaderOptions::default()).unwrap().pop().unwrap();
        let mut grown = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let records = input.records().unwrap();
        grown.write_all(b"5@ex").unwrap();
        let (rows, error) = drain(records);
        assert_eq!(rows.len(), rows_left);
        assert!(matches!(error, Some(ReadError::Changed { .. })), "{error:?}");
    }
}

/// Beside itself, too: neither disturbs the other. A change in between is told by whichever comes behind it.
#[test]
fn a_file_is_read_again_and_a_pipe_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (1..=50_000).map(|euid| format!("{euid},user{euid}@example.com\n")).collect();
    let text = format!("euid,email\n{rows}");
    for (name, bytes) in [("a.csv", text.clone().into_bytes()), ("a.csv.gz", gz(text.as_bytes()))] {
        let path = file(&folder, name, &bytes);
        let options = ReaderOptions { digest: true, ..ReaderOptions::default() };
        let mut input = open_all(std::slice::from_ref(&path), &options).unwrap().pop().unwrap();
        let (mut first, mut batch) = (input.records().unwrap(), RecordBatch::default());
        assert!(first.next_batch(&mut batch).unwrap());
        let taken = batch.records.len();
        let (whole, error) = drain(input.again().unwrap().unwrap().records().unwrap());
        assert!(whole.len() == 50_000 && error.is_none(), "{} rows, {error:?}", whole.len());
        let (rest, error) = drain(first);
        assert!(rest == whole[taken..] && error.is_none(), "{error:?}");

        let mut again = input.again().unwrap().unwrap();
        assert_eq!(drain(again.records().unwrap()).0.len(), 50_000);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        for input in [&mut again, &mut input] {
            let (_, error) = drain(input.records().unwrap());
            // What comes behind the end of a packed file is told as such.
            let is_told = matches!(error, Some(ReadError::Changed { .. } | ReadError::Broken { .. }));
            assert!(is_told, "{error:?}");
        }
    }
    let (reader, writer) = io::pipe().unwrap();
    let options = ReaderOptions { format: Some(Format::Csv), ..ReaderOptions::default() };
    let names = [format!("/dev/fd/{}", reader.as_raw_fd())];
    let writing = std::thread::spawn(move || (&writer).write_all(b"euid,email\n1,a\n").unwrap());
    let input = open_all(&names, &options).unwrap().pop().unwrap();
    assert!(input.again().is_none());
    writing.join().unwrap();
}

#[test]
fn position_and_digest_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = gz(b"euid,email\n1,a\n2,b\n");
    let path = file(&folder, "a.csv.gz", &bytes);
    for mark in 0..=bytes.len() {
        let marks = BTreeMap::from([(path.clone(), mark as u64)]);
        let options = ReaderOptions { digest: true, marks: marks.into(), ..ReaderOptions::default() };
        let mut input = open_all(std::slice::from_ref(&path), &options).unwrap().pop().unwrap();
        // A file is read from its beginning each time.
        for _ in 0..2 {
            let mut records = input.records().unwrap();
            while records.next_batch(&mut RecordBatch::default()).unwrap() {}
            let position = records.position();
            assert_eq!((position.bytes, position.rows), (bytes.len() as u64, 2));
            let digests = (position.blake3, position.at_mark);
            let [whole, part] = [&bytes[..], &bytes[..mark]].map(|bytes| Some(*blake3::hash(bytes).as_bytes()));
            assert_eq!(digests, (whole, part), "{mark}");
        }
    }
    let options = ReaderOptions {
        digest: true,
        marks: BTreeMap::from([(path.clone(), 1_000)]).into(),
        ..ReaderOptions::default()
    };
    let mut records = open_all(&[path], &options).unwrap().pop().unwrap().records().unwrap();
    while records.next_batch(&mut RecordBatch::default()).unwrap() {}
    assert_eq!(records.position().at_mark, None, "there are fewer bytes than that");
}

#[test]
fn records_read_before_their_turn_come_first_and_then_the_rest() {
    let text: String =
        (1..=3_000).map(|euid| format!("{{\"euid\":{euid},\"email\":\"{euid}@example.com\"}}\n")).collect();
    let all = ndjson(&text);
    for ahead in 0..5 {
        let source = io::Cursor::new(text.clone().into_bytes());
        let mut records = Records::from_reader("in", source, Format::Ndjson, &ReaderOptions::default()).unwrap();
        let (mut batches, mut end, mut expected) = (Vec::new(), None, all.clone());
        for _ in 0..ahead {
            let mut batch = RecordBatch::default();
            let more = records.next_batch(&mut batch);
            let left_out = shown(&batch.with_only(|head| head.row % 2 == 0));
            expected.retain(|row| !left_out.contains(row));
            let kept = batch.with_only(|head| head.row % 2 == 1);
            assert!(kept.bytes() < batch.bytes() || batch.records.is_empty());
            batches.push(kept);
            if !matches!(more, Ok(true)) {
                end = Some(more.map(drop));
                break;
            }
        }
        records.put_back(batches, end);
        let (rows, error) = drain(records);
        assert!(error.is_none());
        assert_eq!(rows, expected);
    }
}
