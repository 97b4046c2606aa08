//! Reports of earlier runs, opened to be read.

use std::{
    collections::HashSet,
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use report::{ReportError, SourceReport};

use crate::{
    failure::Failure,
    settings::{Identity, ReadFile, STANDARD_STREAM, refuse_shared_outputs},
    spool::spool,
};

/// Opens reports, each once; `-` is standard input. What can be read only once is copied, since a report is read several
/// times. One that is named twice is exit 2.
pub(crate) fn open_reports<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<SourceReport>, Failure> {
    let mut seen = HashSet::new();
    let mut reports = Vec::with_capacity(paths.len());
    for path in paths.iter().map(AsRef::as_ref) {
        let report = open_report(path)?;
        // A pipe that was copied can be told by its name only.
        let is_new = seen.insert((Some(report.file_id()?), None)) && seen.insert((None, Some(path)));
        if !is_new {
            return Err(Failure::usage(format!("the report {} is given twice", path.display())));
        }
        reports.push(report);
    }
    Ok(reports)
}

/// Refuses outputs that are among the reports.
pub(crate) fn refuse_overwriting_reports(reports: &[SourceReport], outputs: &[(&str, PathBuf)]) -> Result<(), Failure> {
    let read = reports.iter().map(|report| {
        let identity = Some(Identity::of_file(report.file_id()?));
        Ok(ReadFile { what: "report", name: report.path().display().to_string(), identity })
    });
    refuse_shared_outputs(&read.collect::<Result<Vec<_>, ReportError>>()?, outputs)
}

fn open_report(path: &Path) -> Result<SourceReport, Failure> {
    let failed = |cause| {
        let cause = report::ReadError::Read { path: path.to_owned(), cause };
        Failure::from(ReportError::from(cause))
    };
    let (name, mut once) = if path == Path::new(STANDARD_STREAM) {
        ("standard input".to_owned(), fs::File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?))
    } else if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        (path.display().to_string(), fs::File::open(path).map_err(failed)?)
    } else {
        return Ok(SourceReport::open(path).map_err(ReportError::from)?);
    };
    let copy = spool(&name, &mut once, &std::env::temp_dir())?;
    Ok(SourceReport::copied(path, copy).map_err(ReportError::from)?)
}
