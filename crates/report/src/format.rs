use std::path::Path;

/// How a report is written, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportFormat {
    /// How records are written.
    pub encoding: Encoding,
    /// How the file is compressed.
    pub compression: Compression,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A JSON object a line.
    Ndjson,
    /// CSV with a header.
    Csv,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// A gzip member for each piece that is written.
    Gzip,
    /// A zstd frame for each piece that is written.
    Zstd,
}

impl ReportFormat {
    /// By the extension: `.csv` is CSV, all else NDJSON; `.gz` or `.zst` behind it compresses.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_ascii_lowercase());
        let (plain, compression) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
            (Some(plain), _) => (plain, Compression::Gzip),
            (_, Some(plain)) => (plain, Compression::Zstd),
            _ => (name.as_str(), Compression::None),
        };
        let is_csv = Path::new(plain).extension().is_some_and(|extension| extension == "csv");
        let encoding = if is_csv { Encoding::Csv } else { Encoding::Ndjson };
        Self { encoding, compression }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let of = |name: &str| {
            let format = ReportFormat::of(Path::new(name));
            (format.encoding, format.compression)
        };
        assert_eq!(of("a.ndjson"), (Encoding::Ndjson, Compression::None));
        assert_eq!(of("a/b.CSV.GZ"), (Encoding::Csv, Compression::Gzip));
        assert_eq!(of("a.csv"), (Encoding::Csv, Compression::None));
        assert_eq!(of("a.ndjson.zst"), (Encoding::Ndjson, Compression::Zstd));
        assert_eq!(of("/dev/stdout"), (Encoding::Ndjson, Compression::None));
    }
}
