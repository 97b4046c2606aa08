use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// The environment as it was at the start. An empty variable counts as unset.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's text; exit 2 where it isn't UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.0.get(Path::new(name).as_os_str()) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some(value) => Ok(Some(value.to_owned())),
                None => Err(Failure::usage(format!("the environment variable {name} is not valid UTF-8"))),
            },
        }
    }

    /// A variable that names a file or folder.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(Path::new(name).as_os_str()).map(PathBuf::from)
    }

    /// Whether a variable is set to something.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(Path::new(name).as_os_str())
    }

    /// The names that begin so.
    pub(crate) fn names_with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(|name| name.to_str()).filter(move |name| name.starts_with(prefix))
    }
}

impl<Name: Into<OsString>, Value: Into<OsString>> FromIterator<(Name, Value)> for Environment {
    fn from_iter<T: IntoIterator<Item = (Name, Value)>>(variables: T) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(variables.filter(|(_, value)| !value.is_empty()).collect())
    }
}
