use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// `fixtures`: writes every file of the fixtures folder.
pub(crate) fn write_all() -> anyhow::Result<()> {
    for (name, bytes) in all()? {
        let path = folder().join(name);
        std::fs::write(&path, bytes).with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The files by name.
fn all() -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let contacts = contacts();
    let (first, second) = contacts.split_at(contacts.len() / 2);
    Ok(vec![
        ("contacts.csv", contacts.clone().into()),
        ("contacts.csv.gz", [gzip(first)?, gzip(second)?].concat()),
        ("contacts.csv.zst", zstd::encode_all(contacts.as_bytes(), 3)?),
        ("contacts-nested.ndjson", nested().into()),
        ("contacts-flat.ndjson", FLAT.into()),
        ("crm-export-semicolon-windows-1252.csv", windows_1252(CRM)),
        ("dataframe-dump-float-ids.csv", DATAFRAME.into()),
        ("spreadsheet-utf16-sep.csv", utf16(SPREADSHEET)),
        ("same-euid-several-rows.csv", SAME_EUID.into()),
        ("own-ids.csv", OWN_IDS.into()),
        ("quoted-newlines.csv", QUOTED_NEWLINES.into()),
        ("blank-lines.csv", BLANK_LINES.into()),
        ("pipe-delimited.csv", contacts.replace(',', "|").into()),
        ("old-mac-cr.csv", contacts.replace('\n', "\r").into()),
        ("unclosed-quote.csv", UNCLOSED_QUOTE.into()),
        ("every-rejection.csv", every_rejection_csv()),
        ("every-rejection.ndjson", every_rejection_ndjson().into()),
    ])
}

fn contacts() -> String {
    let rows = (0..20).map(|n| format!("{},user{n}@example.com,+1202555{:04}\n", 10_000_000_001_u64 + n, 100 + n));
    std::iter::once("euid,email,mobile_phone\n".to_owned()).chain(rows).collect()
}

fn nested() -> String {
    let row = |n: u64| {
        format!(
            "{{\"euid\":{},\"contacts\":{{\"email\":\"user{n}@example.com\",\"whatsapp_phone\":\"+447700900{n:03}\"}}}}\n",
            10_000_000_101 + n
        )
    };
    (0..10).map(row).collect()
}

const FLAT: &str = r#"{"euid":10000000201,"email":"ada@example.com","mobile_phone":"+12025550101"}
{"euid":"10000000202","Email":"ben@example.com","mobile_phone":12025550102}

{"EUID":10000000203,"email":null,"landline_phone":"+441632960003"}
{"euid":10000000204,"email":"\u00e9lise@example.com","mobile_phone":""}
{"euid":9223372036854775807,"email":"last@example.com"}
"#;

const CRM: &str = "\
Kundennummer;Name;E-Mail;Mobil\r\n\
10000000301;Jürgen Groß;juergen@example.com;+4915550000001\r\n\
10000000302;Zoë Müller;zoe@example.com;\r\n\
10000000303;\"Søren; Ltd\";soeren@example.com;+12025550133\r\n\
10000000304;François Lefèvre;francois@example.com;+447700900304\r\n\
10000000305;Ana Peña;ana@example.com;+12025550135\r\n";

const DATAFRAME: &str = "\
euid,email,mobile_phone
10000000401.0,ada@example.com,12025550141.0
1.0000000402E+10,ben@example.com,+12025550142
10000000403,chloe@example.com,1.2025550143E+10
10000000404,dmitri@example.com,+12025550144
10000000405,NaN,+12025550145
";

const SPREADSHEET: &str = "\
sep=;\r\n\
EUID;Email;Mobile_Phone;\r\n\
10000000501;élodie@example.com;+12025550151;\r\n\
10000000502;\"bob@example.com\";\"+447700900502\";\r\n\
10000000503;;+12025550153;\r\n";

const SAME_EUID: &str = "\
euid,email
10000000601,first@example.com
10000000602,other@example.com
10000000601,second@example.com
010000000601,third@example.com
10000000603,another@example.com
10000000601,last@example.com
";

const OWN_IDS: &str = "\
crm_id,email,mobile_phone
A-1001,ada@example.com,+12015550101
A-1002,grace@example.com,+12015550102
1003,edsger@example.com,+12015550103
A-1002,grace.h@example.com,+12015550102
NULL,nobody@example.com,
4711.0,float@example.com,+12015550104
None,noname@example.com,+12015550105
A-1004,alan@example.com,
";

const QUOTED_NEWLINES: &str = "\
euid,email,address
10000000701,ada@example.com,\"1 Example Street
Exampleton\"
10000000702,ben@example.com,\"He said \"\"hello\"\",
twice,
and left\"
10000000703,chloe@example.com,plain
";

const BLANK_LINES: &str = "\n\neuid,email\n\n10000000801,ada@example.com\n\n\n\n10000000802,ben@example.com\n\n";

const UNCLOSED_QUOTE: &str = "\
euid,email
10000000901,ada@example.com
10000000902,\"ben@example.com
10000000903,chloe@example.com
10000000904,dmitri@example.com
";

fn every_rejection_csv() -> Vec<u8> {
    let long = "x".repeat(245);
    let rows = format!(
        "euid,email,mobile_phone\n\
         1,too,many,fields\n\
         2,too-few\n\
         ,empty-euid@example.com,\n\
         1.03625E+07,scientific@example.com,\n\
         10362473.0,decimal@example.com,\n\
         \"10,362,473\",thousands@example.com,\n\
         \"=\"\"123\"\"\",formula@example.com,\n\
         0,zero@example.com,\n\
         9,{long}@example.com,\n\
         10,phone@example.com,4.47911E+11\n\
         11,phone@example.com,12025550111.0\n\
         12,,\n"
    );
    [rows.as_bytes(), b"13,m\xfcller@example.com,\n14,good@example.com,+12025550114\n"].concat()
}

fn every_rejection_ndjson() -> String {
    let long = "x".repeat(257);
    format!(
        "{{\"euid\":1,\"email\":\"good@example.com\"}}\n\
         {{\"euid\":2,\"email\":\"cut@exam\n\
         [3]\n\
         {{\"euid\":4,\"email\":\"a\",\"email\":\"b\"}}\n\
         {{\"euid\":5,\"contacts\":\"not an object\"}}\n\
         {{\"euid\":null,\"email\":\"null-euid@example.com\"}}\n\
         {{\"euid\":true,\"email\":\"boolean-euid@example.com\"}}\n\
         {{\"euid\":8,\"contacts\":{{\"\":\"no-name@example.com\"}}}}\n\
         {{\"euid\":9,\"email\":\"{long}\"}}\n\
         {{\"euid\":10,\"email\":[\"array@example.com\"]}}\n\
         {{\"euid\":11,\"email\":\"nul\\u0000@example.com\"}}\n\
         {{\"euid\":12,\"email\":null}}\n"
    )
}

fn gzip(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

fn windows_1252(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
}

fn utf16(text: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_files_are_those_that_are_written() {
        let readme = std::fs::read_to_string(super::folder().join("README.md")).unwrap();
        for (name, bytes) in super::all().unwrap() {
            assert_eq!(std::fs::read(super::folder().join(name)).unwrap(), bytes, "{name}: run `cargo xtask fixtures`");
            assert!(readme.contains(&format!("`{name}`")), "{name} is not in fixtures/README.md");
        }
    }
}
