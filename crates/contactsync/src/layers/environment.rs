use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// The environment as it was at the start. An empty variable counts as unset.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    set: BTreeMap<OsString, OsString>,
    /// Names of empty variables.
    empty: BTreeSet<OsString>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's text; exit 2 where it isn't UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.set.get(Path::new(name).as_os_str()) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some(value) => Ok(Some(value.to_owned())),
                None => Err(Failure::usage(format!("the environment variable {name} is not valid UTF-8"))),
            },
        }
    }

    /// A variable that names a file or folder.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.set.get(Path::new(name).as_os_str()).map(PathBuf::from)
    }

    /// Whether a variable is set to something.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.set.contains_key(Path::new(name).as_os_str())
    }

    /// Whether a variable is there and empty.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        self.empty.contains(Path::new(name).as_os_str())
    }

    /// The names that begin so.
    pub(crate) fn names_with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.set.keys().filter_map(|name| name.to_str()).filter(move |name| name.starts_with(prefix))
    }
}

impl<Name: Into<OsString>, Value: Into<OsString>> FromIterator<(Name, Value)> for Environment {
    fn from_iter<T: IntoIterator<Item = (Name, Value)>>(variables: T) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let (empty, set): (Vec<_>, Vec<_>) = variables.partition(|(_, value): &(OsString, OsString)| value.is_empty());
        Self { set: set.into_iter().collect(), empty: empty.into_iter().map(|(name, _)| name).collect() }
    }
}
