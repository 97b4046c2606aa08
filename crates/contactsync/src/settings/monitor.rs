use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

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

    /// Exit 2 where a file would be replaced that isn't a metrics file. Whether it is an input is looked at before.
    pub(crate) fn refuse_foreign(&self) -> Result<(), Failure> {
        self.metrics_file.as_ref().map_or(Ok(()), MetricsFileSettings::refuse_foreign)
    }

    /// Whether anybody watches.
    pub(crate) fn is_wanted(&self) -> bool {
        #[cfg(feature = "otel")]
        if self.otlp.is_some() {
            return true;
        }
        self.metrics_file.is_some()
    }
}

/// How our files begin.
const OURS: &[u8] = b"# HELP contactsync_";

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

    /// Exit 2 where a file lies there that isn't one of ours: a name given by mistake must not cost a state or an export.
    fn refuse_foreign(&self) -> Result<(), Failure> {
        let path = self.output.path();
        if !self.is_replaced || fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(());
        }
        let mut beginning = Vec::new();
        let read = File::open(path).and_then(|file| file.take(OURS.len() as u64).read_to_end(&mut beginning));
        let hint = "name another file, or remove this one".to_owned();
        let shown = path.display();
        match read {
            Ok(_) if beginning.is_empty() || beginning == OURS => Ok(()),
            Ok(_) => Err(Failure::usage(format!(
                "the metrics file {shown} holds something else than metrics of contactsync, and would be replaced"
            ))
            .with_hint(hint)),
            Err(error) => {
                let message = format!("what lies where the metrics file {shown} would be can't be read: {error}");
                Err(Failure::usage(message).with_hint(hint))
            }
        }
    }
}
