use std::process::ExitCode;

/// How the program ends: every exit status it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Exit {
    /// Every row is synced, unchanged or valid.
    Success,
    /// Finished, and some rows were rejected or failed.
    RowsFailed,
    /// Usage or configuration: nothing was sent.
    Usage,
    /// The API refuses the credentials or the project.
    Credentials,
    /// `--max-failures`.
    MaxFailures,
    /// An input could not be read to its end, or an output not be written.
    ReadOrWrite,
    /// The service stayed out of reach, or isn't the service.
    OutOfReach,
    /// `--until` or `--max-duration`.
    TimeWindow,
    /// The books don't balance.
    Bug,
    /// SIGHUP.
    Hangup,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// All of them, by number.
    pub(crate) const ALL: [Self; 12] = [
        Self::Success,
        Self::RowsFailed,
        Self::Usage,
        Self::Credentials,
        Self::MaxFailures,
        Self::ReadOrWrite,
        Self::OutOfReach,
        Self::TimeWindow,
        Self::Bug,
        Self::Hangup,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The status the caller sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::RowsFailed => 1,
            Self::Usage => 2,
            Self::Credentials => 3,
            Self::MaxFailures => 4,
            Self::ReadOrWrite => 5,
            Self::OutOfReach => 6,
            Self::TimeWindow => 7,
            Self::Bug => 70,
            Self::Hangup => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What it means, for the manual.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Success => "every row is synced or unchanged; of a check valid; of a verify landed or superseded",
            Self::RowsFailed => {
                "finished, and some rows were rejected, failed, or (verify) are different (see --fail-on)"
            }
            Self::Usage => "usage or configuration: nothing was sent",
            Self::Credentials => "stopped: the API refuses the credentials or the project",
            Self::MaxFailures => "stopped: --max-failures",
            Self::ReadOrWrite => "stopped: an input could not be read to its end, or the report not written",
            Self::OutOfReach => "stopped: the service stayed out of reach, or isn't the service",
            Self::TimeWindow => "stopped: --until or --max-duration",
            Self::Bug => "a bug: the books don't balance",
            Self::Hangup => "stopped by SIGHUP (unless it was ignored at start, as under nohup)",
            Self::Interrupted => "stopped by SIGINT (Ctrl-C)",
            Self::Terminated => "stopped by SIGTERM",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
