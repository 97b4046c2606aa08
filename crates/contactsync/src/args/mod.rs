//! What can be typed: the commands and their options, a file for each group of options.
//!
//! No option has a default here, so that it can be told which ones were given; the help says `[default: …]`, and that
//! text is what `config show` prints. Parsing has no side effects.

#![expect(clippy::doc_markdown, reason = "these comments are the text of the help")]

mod commands;
mod config;
mod identity;
mod inputs;
mod plan;
mod replay;
mod report;
mod sandbox;
mod sending;
mod service;
mod state;
mod state_command;
mod survey;
mod terminal;
mod values;
mod verify;
mod window;

pub(crate) use commands::{
    CheckArgs, Cli, Command, ConfigCommand, DoctorArgs, PushArgs, ReplayArgs, RunArgs, SandboxArgs, VARIABLES,
    VerifyArgs,
};
pub(crate) use identity::IdentityArgs;
pub(crate) use inputs::{EmptyChoice, EscapeChoice, FormatChoice, InputArgs, QuoteChoice, RuleArgs};
pub(crate) use plan::{AtLeast, AtMost, PlanArgs, Share};
pub(crate) use replay::ReplayChoiceArgs;
pub(crate) use report::{AroundArgs, ContactsChoice, FailOn, NotifyFormat, ReportArgs, ResumeArgs};
pub(crate) use sandbox::SandboxFaultArgs;
pub(crate) use sending::{Region, RequestArgs, SendingArgs};
pub(crate) use service::{CompareChoice, CompareServiceArgs, ServiceArgs};
pub(crate) use state::{PushStateArgs, StateArgs};
pub(crate) use state_command::{StateCommand, StateFileArgs, StateForgetArgs, StateInfoArgs, StateRebindArgs};
pub(crate) use survey::SurveyArgs;
pub(crate) use terminal::{ColorChoice, LogFormat, ProgressChoice, TerminalArgs};
pub(crate) use values::rate;
pub(crate) use window::{Until, WindowArgs};
