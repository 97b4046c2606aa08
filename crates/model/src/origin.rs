use std::sync::Arc;

/// Where a row came from. Together with the EUID it identifies the row in reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The input as the user named it; `-` is standard input.
    pub source: Arc<str>,
    /// 1 for the first data record of the source.
    pub row: u64,
    /// Physical line on which the record starts; a header is line 1.
    pub line: u64,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} row {} (line {})", self.source, self.row, self.line)
    }
}
