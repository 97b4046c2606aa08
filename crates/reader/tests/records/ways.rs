//! The same rows come out, however a text arrives.

use super::*;

#[test]
fn every_fixture_comes_out_the_same_in_all_ways() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let (format, bytes) = match name.rsplit_once('.').unwrap().1 {
            "csv" if bytes.starts_with(b"\xff\xfe") => {
                let units: Vec<u16> = bytes[2..].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
                (Format::Csv, String::from_utf16(&units).unwrap().into_bytes())
            }
            "csv" => (Format::Csv, bytes),
            "ndjson" => (Format::Ndjson, bytes),
            // The compressed ones hold what another one holds.
            _ => continue,
        };
        let text = bytes.iter().copied().filter(|byte| *byte != b'\r' || name.contains("-cr."));
        let text: Vec<u8> = text.map(|byte| if byte == b'\r' { b'\n' } else { byte }).collect();
        let key_column = match name.as_str() {
            "own-ids.csv" => "crm_id",
            name if name.starts_with("crm-export") => "Kundennummer",
            _ => "euid",
        };
        let key_column = key_column.to_owned();
        let options = ReaderOptions { selection: Selection::All, key_column, ..ReaderOptions::default() };
        all_ways(&name, &text, format, &options);
        seen += 1;
    }
    assert!(seen > 10, "only {seen} fixtures");
}

#[test]
fn csv_comes_out_the_same_in_all_ways() {
    all_ways("rows.csv", CSV.as_bytes(), Format::Csv, &ReaderOptions::default());
    assert_eq!(
        csv(CSV),
        [
            "1@2 1 email=a@example.com mobile_phone=+12025550101",
            "2@4 2 email=b \"x\"\n;c mobile_phone=",
            "3@8 3 email=ü mobile_phone=",
            "4@9 4 email=d mobile_phone=e"
        ]
    );
}

#[test]
fn ndjson_comes_out_the_same_in_all_ways() {
    all_ways("rows.ndjson", NDJSON.as_bytes(), Format::Ndjson, &ReaderOptions::default());
    assert_eq!(
        ndjson(NDJSON),
        [
            "1@1 1 email=aü",
            "2@4 2 email=b x=y",
            "3@5 malformed_row: not a JSON object",
            "4@6 malformed_row: invalid JSON at column 46: invalid number",
            "5@7 3 mobile_phone:123456789012345678901234567890 email=null",
        ]
    );
}
