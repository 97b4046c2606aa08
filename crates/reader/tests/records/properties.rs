//! Any bytes.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the bytes: no panic, an end, rows numbered from 1, and the same rows in whatever pieces.
    #[test]
    fn any_bytes_are_rows_or_faults(
        text in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(&b"\"\",,;\n\r\t a1{}[]:\\"[..]), 1 => any::<u8>()
        ], 0..400),
        piece in 1_usize..50,
    ) {
        for (format, start) in [(Format::Csv, &b"euid,email\n"[..]), (Format::Ndjson, b"")] {
            let bytes = [start, &text].concat();
            let options = ReaderOptions { selection: Selection::All, delimiter: Some(b','), ..ReaderOptions::default() };
            let rows = read_with(&bytes, piece, format, &options);
            prop_assert_eq!(&rows, &read_with(&bytes, 65_536, format, &options));
            for (index, row) in rows.iter().enumerate() {
                prop_assert!(row.starts_with(&format!("{}@", index + 1)), "{}", row);
            }
        }
    }

    /// Every line without quotes is a row, whatever stands around it.
    #[test]
    fn every_line_is_accounted_for(lines in prop::collection::vec("[a-z0-9,; ]{0,12}", 0..60), end in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        let text = format!("euid,email{end}{}", lines.join(end));
        prop_assert_eq!(csv(&text).len(), lines.iter().filter(|line| !line.is_empty()).count());
        let blank = |line: &&String| !line.trim().is_empty();
        prop_assert_eq!(ndjson(&lines.join(end)).len(), lines.iter().filter(blank).count());
    }
}
