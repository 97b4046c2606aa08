use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use super::values;

/// What is written down, and what counts as a failed run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct ReportArgs {
    /// Report with a record for each row decided: NDJSON, or CSV where it ends in .csv; .gz or .zst behind it compresses
    /// (set in the environment or a configuration it holds for push alone) [default: push, replay, verify:
    /// contactsync-report-TIME.ndjson in the current folder; check: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Replace a report that exists by a new file [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) force: bool,
    /// Which records hold the contacts [default: failed: those of failed, rejected and different rows]
    #[arg(long, value_name = "WHICH", hide_short_help = true)]
    pub(crate) report_contacts: Option<ContactsChoice>,
    /// Write the summary as JSON to this file; - is standard output [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    /// Which rows make a finished run end with status 1 [default: any]
    #[arg(long, value_name = "WHICH", hide_short_help = true)]
    pub(crate) fail_on: Option<FailOn>,
}

/// Who hears of the end, and who waits for whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct AroundArgs {
    /// Post the summary to this address at the end; one with a token in it goes into CONTACTSYNC_NOTIFY [default: none]
    #[arg(long, value_name = "URL", value_parser = values::secret(), hide_short_help = true)]
    pub(crate) notify: Option<SecretString>,
    /// What is posted [default: json: the summary as --summary writes it]
    #[arg(long, value_name = "FORMAT", requires = "notify", hide_short_help = true)]
    pub(crate) notify_format: Option<NotifyFormat>,
    /// Write metrics for Prometheus to this file, every 15 seconds and at the end; its name ends in .prom, and tells its series
    /// from those of other jobs (set in the environment or a configuration it holds for push alone) [default: none]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) metrics_file: Option<PathBuf>,
    /// Deliver traces and metrics over OTLP (protobuf over HTTP) to a collector at this address, as https://HOST:4318; what it wants
    /// in headers goes into OTEL_EXPORTER_OTLP_HEADERS; needs a build with the feature otel [default: none]
    // Kept as typed and as a secret: it may hold user info, which no message may show.
    #[arg(long, value_name = "URL", value_parser = values::secret(), hide_short_help = true)]
    pub(crate) otlp_endpoint: Option<SecretString>,
    /// Hold a lock on this file while running; where another run holds it, end with status 2 [default: none]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) lock: Option<PathBuf>,
    /// Wait so long for a lock or a report that another run holds, instead of ending with status 2 at once [default: 0]
    #[arg(long, value_name = "DURATION", value_parser = values::duration, hide_short_help = true)]
    pub(crate) lock_wait: Option<Duration>,
}

/// `--notify-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotifyFormat {
    /// The summary as JSON
    Json,
    /// A text for people, as Slack and its like take it
    Slack,
}

/// How a run that was stopped goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report", group = clap::ArgGroup::new("bound").args(["resume", "state"]).multiple(true))]
pub(crate) struct ResumeArgs {
    /// Go on with the run of this report: rows that it decides are not sent again, nor verified again; without a
    /// report it is begun [default: off]
    #[arg(long, requires = "report", conflicts_with = "force")]
    pub(crate) resume: bool,
    /// Go on although the rows of the report, or of the state, were accepted under another API key [default: off]
    #[arg(long, requires = "bound", hide_short_help = true)]
    pub(crate) accept_new_key: bool,
}

/// `--report-contacts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ContactsChoice {
    /// Those of failed, rejected and different rows
    Failed,
    /// All
    Always,
    /// None; messages quote no value either
    Never,
}

/// `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Rejected, failed and different rows
    Any,
    /// Failed and different rows only
    Failed,
    /// No rows
    None,
}
