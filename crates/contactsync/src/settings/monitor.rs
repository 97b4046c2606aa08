use std::path::Path;

use report::is_special;

#[cfg(feature = "otel")]
use super::otlp::OtlpSettings;
use super::output::Output;
use crate::{
    args::{AroundArgs, RequestArgs},
    failure::Failure,
    layers::Layers,
};

/// Who watches a run from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct MonitorSettings {
    /// The file of metrics, if any.
    pub(crate) metrics_file: Option<MetricsFileSettings>,
    /// Where metrics and spans are delivered, if anywhere.
    #[cfg(feature = "otel")]
    pub(crate) otlp: Option<OtlpSettings>,
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
    pub(super) fn of(
        args: &AroundArgs,
        requests: &RequestArgs,
        layers: &Layers,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        refuse_without_feature(args)?;
        #[cfg(not(feature = "otel"))]
        let _ = (requests, layers);
        let metrics_file = args.metrics_file.as_deref().map(|path| MetricsFileSettings::of(path, warnings));
        Ok(Self {
            metrics_file: metrics_file.transpose()?,
            #[cfg(feature = "otel")]
            otlp: OtlpSettings::of(args, requests, layers)?,
        })
    }
}

impl MonitorSettings {
    /// Whether anybody watches.
    pub(crate) fn is_wanted(&self) -> bool {
        #[cfg(feature = "otel")]
        if self.otlp.is_some() {
            return true;
        }
        self.metrics_file.is_some()
    }
}

/// What was asked for must not be left out in silence. Standard variables are for others, too.
fn refuse_without_feature(args: &AroundArgs) -> Result<(), Failure> {
    if cfg!(feature = "otel") || args.otlp_endpoint.is_none() {
        return Ok(());
    }
    let message = "`--otlp-endpoint`: this program was built without the feature `otel`";
    Err(Failure::usage(message).with_hint("build it with `--features otel`, or leave the option out".to_owned()))
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
