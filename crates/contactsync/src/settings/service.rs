use crate::{
    args::{CompareChoice, CompareServiceArgs, ServiceArgs},
    failure::Failure,
};

/// How users are read back from the service, and compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceSettings {
    /// Requests that read users.
    pub(crate) profile_rate: dispatcher::Rate,
    /// When a value counts as the row's.
    pub(crate) compare: CompareChoice,
}

impl ServiceSettings {
    /// What the arguments say.
    pub(crate) fn of(args: &ServiceArgs) -> Self {
        Self {
            profile_rate: args.profile_rate.unwrap_or(dispatcher::Rate::PROFILE),
            compare: args.compare.unwrap_or(CompareChoice::Exact),
        }
    }

    /// The same for a push; none where it doesn't compare with the service.
    pub(crate) fn of_push(args: &CompareServiceArgs) -> Result<Option<Self>, Failure> {
        if args.compare_service {
            return Ok(Some(Self::of(&args.service)));
        }
        let unused =
            [("--profile-rate", args.service.profile_rate.is_some()), ("--compare", args.service.compare.is_some())];
        match unused.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => {
                let message = format!("`{option}` says how the service is read, and nothing is read");
                Err(Failure::usage(message).with_hint("add `--compare-service`, or leave it out".to_owned()))
            }
            None => Ok(None),
        }
    }

    /// What decides which rows are sent: a resume must have the same.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let loose = self.compare == CompareChoice::Loose;
        loose.then(|| ("--compare".to_owned(), "loose".to_owned())).into_iter()
    }
}
