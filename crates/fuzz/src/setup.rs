use reader::{Header, ReaderOptions, Selection, encoding_for_label};
use validator::{EmptyValues, IdRules, Rules};

use crate::stretch::stretched;

/// An input, and how it is read.
pub(crate) struct Setup {
    pub(crate) bytes: Vec<u8>,
    pub(crate) options: ReaderOptions,
    pub(crate) rules: Rules,
}

/// Printable bytes choose the plain options, so that files can be corpora as they are.
pub(crate) fn setup(data: &[u8]) -> Option<Setup> {
    let (choice, data) = data.split_first()?;
    let bits = if choice.is_ascii_graphic() { 0 } else { *choice };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let header = match bits & 1 {
        0 => Header::Present,
        _ => Header::Absent { columns: texts(&["euid", "email", "mobile_phone"]) },
    };
    let options = ReaderOptions {
        header,
        selection: if bits & 2 == 0 { Selection::All } else { Selection::Known },
        flexible: bits & 4 != 0,
        delimiter: (bits & 8 != 0).then_some(b';'),
        encoding: if bits & 16 == 0 { None } else { encoding_for_label("windows-1252") },
        ..ReaderOptions::default()
    };
    if bits < 0x80 {
        return Some(Setup { bytes: data.to_vec(), options, rules: Rules::default() });
    }
    let (more, data) = data.split_first()?;
    let labels = ["utf-16le", "utf-16be", "shift_jis", "gb18030", "iso-2022-jp", "utf-8", "", ""];
    let exactly = || Selection::Exactly(texts(&["nick", "email"]));
    let map = [("id", "euid"), ("E-Mail", "email"), ("x", "nick")];
    let options = ReaderOptions {
        delimiter: if bits & 32 == 0 { options.delimiter } else { Some(b',') },
        selection: if bits & 64 == 0 { options.selection } else { exactly() },
        map: map.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec(),
        encoding: encoding_for_label(labels[usize::from(more & 7)]).or(options.encoding),
        ..options
    };
    let limits = Rules::default();
    let rules = Rules {
        empty: match (more & 8, more & 7) {
            (0, _) => EmptyValues::Skip,
            (_, 7) => EmptyValues::Clear,
            _ => EmptyValues::Reject,
        },
        trim: more & 16 != 0,
        nulls: if more & 32 == 0 { Vec::new() } else { texts(&["NULL", "-"]) },
        are_nulls_told: false,
        max_value_chars: if more & 128 == 0 { limits.max_value_chars } else { 8 },
        ids: (more & 7 == 5).then(|| IdRules { column: "id".to_owned(), allowed: Vec::new() }),
    };
    let bytes = if more & 64 == 0 { data.to_vec() } else { stretched(data) };
    Some(Setup { bytes, options, rules })
}
