use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use super::{
    config::LayerArgs, inputs::InputArgs, inputs::RuleArgs, plan::PlanArgs, replay::ReplayChoiceArgs,
    report::AroundArgs, report::ReportArgs, report::ResumeArgs, sandbox::SandboxFaultArgs, sending::RequestArgs,
    sending::SendingArgs, service::CompareServiceArgs, state::PushStateArgs, state::StateArgs,
    state_command::StateCommandArgs, survey::SurveyArgs, terminal::ProgressChoice, terminal::TerminalArgs, values,
    verify::VerifyingArgs, window::WindowArgs,
};

const ABOUT: &str = "Bulk synchronisation of contact files with EngageLab Marketing Automation";
const LONG_ABOUT: &str = "Reads contacts from CSV, TSV, NDJSON and JSON files, checks them, and sets them in EngageLab \
Marketing Automation, one request a user: in order for each user, within a rate, with retries, and with a record in \
the report for every row.";
/// The variables that are read, and what they set.
pub(crate) const VARIABLES: [(&str, &str); 7] = [
    ("ENGAGELAB_MA_API_KEY, ENGAGELAB_MA_API_SECRET", "credentials of the API data source"),
    ("ENGAGELAB_MA_API_KEY_FILE, ENGAGELAB_MA_API_SECRET_FILE", "files that hold them instead"),
    ("ENGAGELAB_MA_BASE_URL", "where requests go, as --base-url"),
    (
        "CONTACTSYNC_REDIS_PASSWORD, CONTACTSYNC_REDIS_PASSWORD_FILE",
        "password of the Redis that --share-rate names, or a file that holds it",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES",
        "where --otlp-endpoint isn't given, what goes along, and who says it (feature otel)",
    ),
    ("CONTACTSYNC_<OPTION>", "any other option, as CONTACTSYNC_RATE=50/s; repeated ones a line each"),
    ("NO_COLOR", "no colour"),
];
const START: &str = "\
A first run, which sends nothing to anybody:
  contactsync check contacts.csv
  contactsync push --sandbox contacts.csv";

fn environment() -> String {
    let lines = VARIABLES.map(|(names, meaning)| format!("  {names}\n          {meaning}\n"));
    format!("Environment:\n{}", lines.join("\n"))
}

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "contactsync",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = START,
    after_long_help = environment(),
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) terminal: TerminalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read, validate, send and report: the main job
    #[command(after_long_help = environment())]
    Push(Box<PushArgs>),
    /// Send again the rows of earlier reports that failed, or that verify found different
    #[command(after_long_help = environment())]
    Replay(Box<ReplayArgs>),
    /// Read back what the service holds, and say which rows landed
    #[command(after_long_help = environment())]
    Verify(Box<VerifyArgs>),
    /// Validate and report without the network
    Check(Box<CheckArgs>),
    /// Summarise reports: a table, JSON, a page, rows for a spreadsheet
    Report(Box<SurveyArgs>),
    /// Check configuration, credentials, network, clock and disk without sending a contact
    #[command(after_long_help = environment())]
    Doctor(Box<DoctorArgs>),
    /// Serve an imitation of the API on this machine
    Sandbox(Box<SandboxArgs>),
    /// Say what an API code or a reason means and what to do
    Explain(ExplainArgs),
    /// Look at the file of --state, forget users in it, bind it to a changed key
    State(StateCommandArgs),
    /// Show the settings that hold, or write a configuration file
    Config(ConfigArgs),
    /// Write a shell's completions to standard output
    Completions(CompletionsArgs),
    /// Write the manual page to standard output
    Man,
}

/// `push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) state: PushStateArgs,
    #[command(flatten)]
    pub(crate) compare_service: CompareServiceArgs,
    /// Write a record for unchanged rows too; without it they are only counted [default: off]
    #[arg(long, help_heading = "Report", hide_short_help = true)]
    pub(crate) report_unchanged: bool,
}

/// What a push and a replay have in common.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) resume: ResumeArgs,
    #[command(flatten)]
    pub(crate) around: AroundArgs,
    #[command(flatten)]
    pub(crate) faults: SandboxFaultArgs,
    /// How progress is shown [default: auto: a bar on a terminal, else a line every 10 seconds]
    #[arg(long, value_name = "HOW", help_heading = "Terminal", hide_short_help = true)]
    pub(crate) progress: Option<ProgressChoice>,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Reports of earlier runs: NDJSON or CSV, compressed or not
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) choice: ReplayChoiceArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) verifying: VerifyingArgs,
    #[command(flatten)]
    pub(crate) requests: RequestArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) resume: ResumeArgs,
    #[command(flatten)]
    pub(crate) around: AroundArgs,
    /// Contacts that are found different count as not known in the file of --state of a push [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Nightly runs")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) faults: SandboxFaultArgs,
    /// How progress is shown [default: auto: a bar on a terminal, else a line every 10 seconds]
    #[arg(long, value_name = "HOW", help_heading = "Terminal", hide_short_help = true)]
    pub(crate) progress: Option<ProgressChoice>,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// `doctor`: the options of the push that is to come.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Files of the push that is to come, to estimate the size of its report
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// The file of --metrics-file of the push that is to come [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) metrics_file: Option<PathBuf>,
    /// The file of --state of the push that is to come [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Nightly runs")]
    pub(crate) state: Option<PathBuf>,
    /// The shard of the push that is to come, as 0/4 [default: all rows]
    #[arg(long, value_name = "K/N", value_parser = values::shard, help_heading = "Input")]
    pub(crate) shard: Option<model::Shard>,
    /// Read this user back, and print the shape of the answer: names and types, no values. It is one request
    /// more than --share-rate knows of [default: no user is read]
    #[arg(long, value_name = "EUID", value_parser = values::euid, conflicts_with = "sandbox")]
    pub(crate) euid: Option<model::Euid>,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Report the valid rows too, not only the rejected ones [default: off]
    #[arg(long, requires = "report", help_heading = "Report", hide_short_help = true)]
    pub(crate) report_all: bool,
    /// How progress is shown [default: auto: a bar on a terminal, else a line every 10 seconds]
    #[arg(long, value_name = "HOW", help_heading = "Terminal", hide_short_help = true)]
    pub(crate) progress: Option<ProgressChoice>,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// `sandbox`.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// How long each answer takes [default: 20ms]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) latency: Option<std::time::Duration>,
    /// Requests let through, as 200/s; what is over gets a 429 (configuration key: sandbox_limit) [default: unlimited]
    #[arg(id = "sandbox_limit", long = "limit", value_name = "RATE", value_parser = values::rate)]
    pub(crate) limit: Option<dispatcher::Rate>,
    /// A fault with its probability: code=-1:0.05, status=502:0.01, drop:0.01, lost:0.01, partial:0.01,
    /// hang:0.001, garbage:0.01, of one kind of requests as profile/drop:0.01; unstored:P, altered:P, forgotten:P, late:P;
    /// stale:P, unknown:P, twin:P, refused=55105:P; repeatable [default: none]
    #[arg(long, value_name = "SPEC", value_parser = values::fault)]
    pub(crate) fault: Vec<sandbox::Fault>,
    /// Which requests the faults hit [default: 0]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Refuse empty values (code 55103) instead of clearing their contacts [default: off]
    #[arg(long)]
    pub(crate) refuse_empty: bool,
    /// Forget the contacts of a user that a request leaves out [default: off]
    #[arg(long)]
    pub(crate) forget_omitted: bool,
    /// Requests that read users let through, as 1000/m, apart from the others; none for no limit [default: 1000/m]
    #[arg(long, value_name = "RATE", value_parser = values::limit)]
    pub(crate) profile_limit: Option<dispatcher::Rate>,
    /// How answers list users: object, nulls, empties, digits, name-value, key-value, contact-name, plain, keyed, or
    /// unknown, which nobody understands [default: object]
    #[arg(long, value_name = "SHAPE", value_parser = values::profile_shape)]
    pub(crate) profile_shape: Option<sandbox::ProfileShape>,
    /// Store phones as their digits, and mail addresses in lower case [default: off]
    #[arg(long)]
    pub(crate) normalise: bool,
    /// The key that is accepted (configuration key: sandbox_api_key) [default: sandbox-key]
    #[arg(id = "sandbox_api_key", long = "api-key", value_name = "KEY", value_parser = values::secret())]
    pub(crate) api_key: Option<SecretString>,
    /// The secret that is accepted (configuration key: sandbox_api_secret) [default: sandbox-secret]
    #[arg(id = "sandbox_api_secret", long = "api-secret", value_name = "SECRET", value_parser = values::secret())]
    pub(crate) api_secret: Option<SecretString>,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// An API code as 55108, or a reason as euid_invalid; without it all are listed
    #[arg(value_name = "CODE|REASON", allow_negative_numbers = true)]
    pub(crate) subject: Option<String>,
}

/// `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting with its value and where it comes from
    Show(ConfigShowArgs),
    /// Write a configuration file in which every setting is explained and commented out
    Init(ConfigInitArgs),
}

/// `config show`.
#[derive(Debug, Args)]
pub(crate) struct ConfigShowArgs {
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

/// `config init`.
#[derive(Debug, Args)]
pub(crate) struct ConfigInitArgs {
    /// The file to write; never one that exists [default: your own, $XDG_CONFIG_HOME/contactsync/config.toml or else
    /// ~/.config/contactsync/config.toml]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}
