use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use fastrand::Rng;

/// Options of `generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// How many rows
    #[arg(long, default_value_t = 1_000)]
    rows: u64,
    /// The same seed writes the same rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Distinct EUIDs; rows beyond them come back to earlier ones [default: as many as rows]
    #[arg(long)]
    euids: Option<u64>,
    /// Share of rows with a fault, in percent
    #[arg(long, default_value_t = 0.0)]
    bad: f64,
    /// Where to; - is standard output
    #[arg(long, default_value = "-")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Ndjson,
}

pub(crate) const FIRST_EUID: u64 = 10_000_000_000;
const NAMES: [&str; 12] =
    ["ada", "ben", "chloe", "dmitri", "elif", "femi", "grace", "hiro", "ines", "jonas", "kofi", "lucia"];
const DOMAINS: [&str; 3] = ["example.com", "example.org", "example.net"];
/// What spreadsheets and dataframes do to ids.
const BAD_EUIDS: [&str; 5] = ["", "1.03625E+07", "10362473.0", "10,362,473", "n/a"];

/// `generate`.
pub(crate) fn generate(args: &GenerateArgs) -> anyhow::Result<()> {
    let shares = args.bad / 100.0;
    let euids = args.euids.unwrap_or(args.rows).max(1);
    if args.out == Path::new("-") {
        return rows(args, euids, shares, io::stdout().lock());
    }
    let file = File::create(&args.out).with_context(|| format!("{} can't be created", args.out.display()))?;
    rows(args, euids, shares, file)
}

/// Writes `rows` good rows of distinct EUIDs to a file, the first of which is [`FIRST_EUID`].
pub(crate) fn file(path: &Path, rows: u64, format: Format) -> anyhow::Result<()> {
    let args = GenerateArgs { rows, seed: 1, format, euids: None, bad: 0.0, out: path.to_owned() };
    generate(&args)
}

/// Writes so many good rows of distinct EUIDs to anything.
pub(crate) fn write_rows(target: impl Write, count: u64, format: Format) -> anyhow::Result<()> {
    let args = GenerateArgs { rows: count, seed: 1, format, euids: None, bad: 0.0, out: "-".into() };
    rows(&args, count.max(1), 0.0, target)
}

fn rows(args: &GenerateArgs, euids: u64, bad: f64, target: impl Write) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, target);
    let mut rng = Rng::with_seed(args.seed);
    if args.format == Format::Csv {
        out.write_all(b"euid,email,mobile_phone\n")?;
    }
    for row in 0..args.rows {
        let number = row % euids;
        let name = NAMES[rng.usize(..NAMES.len())];
        let domain = DOMAINS[rng.usize(..DOMAINS.len())];
        let phone = phone(&mut rng);
        let is_bad = bad > 0.0 && rng.f64() < bad;
        let euid =
            if is_bad { BAD_EUIDS[rng.usize(..BAD_EUIDS.len())].to_owned() } else { (FIRST_EUID + number).to_string() };
        match args.format {
            Format::Csv if euid.contains(',') => writeln!(out, "\"{euid}\",{name}.{number}@{domain},{phone}")?,
            Format::Csv => writeln!(out, "{euid},{name}.{number}@{domain},{phone}")?,
            Format::Ndjson => writeln!(
                out,
                "{{\"euid\":\"{euid}\",\"contacts\":{{\"email\":\"{name}.{number}@{domain}\",\"mobile_phone\":\"{phone}\"}}}}"
            )?,
        }
    }
    out.flush()?;
    Ok(())
}

/// A number that belongs to nobody: 555-0100 to 555-0199 of a North American area code, or one of those that Ofcom
/// keeps for drama (07700 900000 to 900999).
fn phone(rng: &mut Rng) -> String {
    if rng.bool() {
        format!("+1{}55501{:02}", rng.u32(201..990), rng.u32(..100))
    } else {
        format!("+447700900{:03}", rng.u32(..1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_rows() {
        let written = |seed| {
            let mut out = Vec::new();
            let args =
                GenerateArgs { rows: 100, seed, format: Format::Ndjson, euids: Some(7), bad: 10.0, out: "-".into() };
            rows(&args, 7, 0.1, &mut out).unwrap();
            out
        };
        assert_eq!(written(5), written(5));
        assert_ne!(written(5), written(6));
        assert_eq!(written(5).split(|byte| *byte == b'\n').count() - 1, 100);
    }
}
