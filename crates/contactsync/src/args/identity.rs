use clap::{Args, ValueEnum};
use model::IdentityKind;

/// By which ids of the organisation's own rows are keyed, if not by EUIDs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Own ids")]
pub(crate) struct IdentityArgs {
    /// Rows are keyed by ids of your own, of this kind. A push or a replay asks for their EUIDs, and EngageLab creates a user
    /// for each id that it doesn't know, which can't be undone; check, verify and --dry-run ask for none [default: rows are
    /// keyed by EUIDs]
    #[arg(long, value_name = "KIND", conflicts_with = "euid_column")]
    pub(crate) identify_by: Option<IdentityChoice>,
    /// Column or key that holds the id [default: what --identify-by says]
    #[arg(long, value_name = "NAME", requires = "identify_by", conflicts_with = "euid_column")]
    pub(crate) id_column: Option<String>,
    /// A text that is an id although it looks like nothing, as None; exactly as it stands in the column; repeatable
    /// [default: NULL, \N, NaN, None, nil, N/A and what --null says are no ids]
    #[arg(long, value_name = "TEXT", requires = "identify_by", conflicts_with = "euid_column", hide_short_help = true)]
    pub(crate) allow_id: Vec<String>,
}

/// `--identify-by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "they are the API's words")]
pub(crate) enum IdentityChoice {
    /// Ids of users who log in
    UserId,
    /// Ids of visitors
    AnonymousId,
    /// Ids of devices
    RegistrationId,
}

impl From<IdentityChoice> for IdentityKind {
    fn from(choice: IdentityChoice) -> Self {
        match choice {
            IdentityChoice::UserId => Self::UserId,
            IdentityChoice::AnonymousId => Self::AnonymousId,
            IdentityChoice::RegistrationId => Self::RegistrationId,
        }
    }
}
