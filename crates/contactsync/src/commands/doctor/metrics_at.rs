use std::path::Path;

use super::{Finding, ill, report_at::try_folder, well};
use crate::{exit::Exit, settings::STANDARD_STREAM};

/// Whether the metrics file can take its place: the push ends with 2 where it can't.
pub(super) fn metrics_at(path: &Path) -> Finding {
    let name = path.display();
    if path == Path::new(STANDARD_STREAM) || report::is_special(path) {
        return well("metrics file", format!("{name} gets the metrics once, at the end"));
    }
    let hint = Some("name a file in a folder that this user may write to with `--metrics-file`".to_owned());
    if path.is_dir() {
        return ill("metrics file", format!("{name} is a folder"), hint, Exit::Usage);
    }
    let folder = report::folder_of(path);
    match try_folder(folder) {
        Ok(()) => well("metrics file", format!("{} can be written to", folder.display())),
        Err(error) => {
            ill("metrics file", format!("{} can't be written to: {error}", folder.display()), hint, Exit::Usage)
        }
    }
}
