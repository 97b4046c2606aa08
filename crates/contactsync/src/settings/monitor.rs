use std::path::Path;

use report::is_special;

use super::output::Output;
use crate::{args::AroundArgs, failure::Failure};

/// Who watches a run from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct MonitorSettings {
    /// The file of metrics, if any.
    pub(crate) metrics_file: Option<MetricsFileSettings>,
}

/// `--metrics-file`.
#[derive(Debug, Clone)]
pub(crate) struct MetricsFileSettings {
    /// Where it lies.
    pub(crate) output: Output,
    /// What tells its series from those of other jobs: its name.
    pub(crate) sync: String,
    /// It is a file. Standard output, pipes and devices are written to, once.
    pub(crate) is_replaced: bool,
}

impl MonitorSettings {
    /// What the arguments say. Warnings are added to `warnings`.
    pub(super) fn of(args: &AroundArgs, warnings: &mut Vec<String>) -> Result<Self, Failure> {
        let metrics_file = args.metrics_file.as_deref().map(|path| MetricsFileSettings::of(path, warnings));
        Ok(Self { metrics_file: metrics_file.transpose()? })
    }
}

impl MetricsFileSettings {
    fn of(path: &Path, warnings: &mut Vec<String>) -> Result<Self, Failure> {
        let output = Output::of("metrics file", path)?;
        let is_replaced = !output.is_stdout() && !is_special(path);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let sync = name.strip_suffix(".prom");
        if is_replaced && sync.is_none_or(str::is_empty) {
            let path = path.display();
            warnings.push(format!(
                "the name of the metrics file {path} doesn't end in .prom: the textfile collector of node_exporter leaves it out"
            ));
        }
        let sync = sync.filter(|sync| !sync.is_empty()).unwrap_or(&name).to_owned();
        Ok(Self { output, sync, is_replaced })
    }
}
