use std::{
    fs::{self, File, TryLockError},
    io::Read,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use model::Shard;
use report::RunFile;

use super::{Finding, ill, well};
use crate::exit::Exit;

/// So much of an input is looked at to estimate its rows.
const SAMPLE_BYTES: u64 = 256 << 10;
/// A record of the report, on the average.
const RECORD_BYTES: u64 = 260;
/// What compression makes of an export, roughly.
const COMPRESSED: u64 = 8;

/// Whether the report can be written where it is to lie.
pub(super) fn place_of(path: &Path, force: bool) -> Finding {
    let name = path.display().to_string();
    let folder = report::folder_of(path);
    match fs::metadata(path) {
        // Opening a pipe would wait for whoever reads it.
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => return place_of_special(path),
        Ok(metadata) if metadata.is_dir() => {
            let hint = "name a file in it with `--report`".to_owned();
            return ill("report", format!("{name} is a folder"), Some(hint), Exit::Usage);
        }
        _ => {}
    }
    if let Ok(file) = File::open(path) {
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            let hint = "wait for it, or choose another name with `--report`".to_owned();
            return ill("report", format!("another run is writing {name}"), Some(hint), Exit::Usage);
        }
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file && !force {
            let finished = matches!(RunFile::read(path), Ok(Some(run)) if run.finished.is_some());
            let what = if finished { "a finished run" } else { "a run" };
            return well(
                "report",
                format!("{name} exists, of {what}: go on with `--resume`, or replace it with `--force`"),
            );
        }
    }
    match try_folder(folder) {
        Ok(()) => well("report", format!("{} can be written to", folder.display())),
        Err(error) => {
            let hint = "choose another place with `--report`".to_owned();
            ill("report", format!("{} can't be written to: {error}", folder.display()), Some(hint), Exit::ReadOrWrite)
        }
    }
}

/// Whether files can be made in a folder.
pub(super) fn try_folder(folder: &Path) -> std::io::Result<()> {
    // A process with the same number may have left its own behind.
    let stamp = Timestamp::now().as_nanosecond();
    let probe = folder.join(format!(".contactsync-doctor-{}-{stamp}", std::process::id()));
    File::options().write(true).create_new(true).open(&probe)?;
    // What can't be removed is an empty file.
    let _ = fs::remove_file(&probe);
    Ok(())
}

/// A pipe or a device, to which a report can be written too.
fn place_of_special(path: &Path) -> Finding {
    let name = path.display();
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Ok(()) => well("report", format!("{name} is a pipe or a device: no such report can be resumed")),
        Err(error) => {
            let hint = "choose another place with `--report`".to_owned();
            ill("report", format!("{name} can't be written to: {error}"), Some(hint), Exit::ReadOrWrite)
        }
    }
}

/// Whether the disk has room for the report of these inputs, or of a shard of them.
pub(super) fn room_for(path: &Path, inputs: &[PathBuf], shard: Option<Shard>) -> Finding {
    let folder = report::folder_of(path);
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return well("room", format!("the disk of {} doesn't tell: {error}", folder.display())),
    };
    let mut rows = 0;
    for input in inputs {
        match rows_of(input) {
            Ok(of_input) => rows += of_input,
            Err(error) => {
                let hint = "check the name, and who may read it".to_owned();
                return ill("room", format!("{} can't be read: {error}", input.display()), Some(hint), Exit::Usage);
            }
        }
    }
    let rows = rows.div_ceil(shard.map_or(1, |shard| u64::from(shard.count())));
    let needed = rows * RECORD_BYTES;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    if needed <= free {
        let for_inputs = if inputs.is_empty() {
            "; name the inputs to compare".to_owned()
        } else {
            format!(", about {} MiB are needed for some {rows} rows", mib(needed))
        };
        return well("room", format!("{} MiB free{for_inputs}", mib(free)));
    }
    let hint =
        "free some, choose another place, or let the report be compressed: `--report NAME.ndjson.zst`".to_owned();
    let said = format!("{} MiB free, about {} MiB needed for some {rows} rows", mib(free), mib(needed));
    ill("room", said, Some(hint), Exit::ReadOrWrite)
}

/// How many rows a file has, by its size and the lines at its beginning. A pipe tells nothing.
fn rows_of(input: &Path) -> std::io::Result<u64> {
    if input == Path::new("-") {
        return Ok(0);
    }
    let metadata = fs::metadata(input)?;
    if !metadata.is_file() {
        return Ok(0);
    }
    let mut sample = Vec::new();
    File::open(input)?.take(SAMPLE_BYTES).read_to_end(&mut sample)?;
    let packed = sample.starts_with(&[0x1f, 0x8b]) || sample.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if packed {
        // Some 50 bytes a row, as exports of contacts have.
        return Ok(metadata.len() * COMPRESSED / 50);
    }
    let lines = (sample.split(|byte| *byte == b'\n').count() as u64 - 1).max(1);
    Ok(metadata.len() * lines / (sample.len().max(1) as u64))
}
