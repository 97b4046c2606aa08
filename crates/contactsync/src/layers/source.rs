use std::{
    fmt::{self, Display},
    path::PathBuf,
};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// On the command line.
    Flag,
    /// In this environment variable.
    Environment(String),
    /// In this file.
    File(PathBuf),
    /// In this file, under this profile.
    Profile(PathBuf, String),
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => write!(f, "the command line"),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Profile(path, profile) => write!(f, "{}, [profile.{profile}]", path.display()),
        }
    }
}

/// A setting that somebody set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its key: the option's name with `_`.
    pub(crate) key: String,
    /// What it is set to. Secrets are left out.
    pub(crate) value: Option<String>,
    /// Where.
    pub(crate) source: Source,
}
