use std::{path::PathBuf, time::Duration};

use dispatcher::{DEFAULT_OUTAGE_WAIT, Rate};
use quota::{Place, PlaceError, Quota, QuotaError, Secrets, Terms, Which};
use secrecy::{ExposeSecret, SecretString};

use super::{output::STANDARD_STREAM, push::dispatcher_settings, secret::SecretVariables, target::read_ca_cert};
use crate::{
    args::{RequestArgs, SendingArgs, rate},
    exit::Exit,
    failure::Failure,
    layers::{Layers, Setting, Source},
};

const PASSWORD: SecretVariables =
    SecretVariables { variable: "CONTACTSYNC_REDIS_PASSWORD", file_variable: "CONTACTSYNC_REDIS_PASSWORD_FILE" };

/// Rates, with the terms under which each is shared.
pub(crate) type Rates = Vec<(Which, Terms)>;

/// The rates that this process shares with others: `--share-rate`.
#[derive(Debug, Clone)]
pub(crate) struct SharedRate {
    /// Where.
    pub(crate) place: Place,
    /// The rates that the command uses, as it names them.
    pub(crate) rates: Rates,
    /// For how long a place that can't be reached is waited for.
    pub(crate) patience: Duration,
    /// What sets it, where nobody typed it.
    set_in: Option<Source>,
    /// The name of this process, which no other has.
    member: String,
    secrets: Secrets,
}

impl SharedRate {
    /// What the arguments and the layers say of the rates that a command uses; none where it shares none. Warnings are added
    /// to `warnings`.
    pub(super) fn of(
        args: &RequestArgs,
        uses: &[Which],
        dispatcher: &dispatcher::Settings,
        (settings, layers): (&[Setting], &Layers),
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        let Some((place, rates)) = Self::named(args, uses, dispatcher, settings)? else { return Ok(None) };
        let set_in = set_in(settings).cloned();
        if let (Place::File(path), Some(source)) = (&place, &set_in)
            && path.is_relative()
        {
            let path = path.display();
            warnings.push(format!(
                "`share_rate` is {path} in {source}: only jobs that start in this folder share it; name its full path"
            ));
        }
        let secrets = match &place {
            Place::File(_) => Secrets::default(),
            Place::Redis(address) => Secrets {
                password: password(layers, warnings)?,
                ca_cert_pem: args.ca_cert.as_deref().filter(|_| address.tls).map(read_ca_cert).transpose()?,
            },
        };
        let patience = match dispatcher.outage_wait {
            Duration::ZERO => DEFAULT_OUTAGE_WAIT,
            wait => wait,
        };
        let shared = Self { place, rates, patience, set_in, member: member()?, secrets };
        for (which, _) in &shared.rates {
            // What is given must be of use, or a report would be begun for nothing.
            shared.quota(*which)?;
        }
        Ok(Some(shared))
    }

    /// What is named, for those who ask nobody.
    pub(super) fn named(
        args: &RequestArgs,
        uses: &[Which],
        dispatcher: &dispatcher::Settings,
        settings: &[Setting],
    ) -> Result<Option<(Place, Rates)>, Failure> {
        let Some(place) = place(args, settings)? else { return Ok(None) };
        let rates = uses.iter().map(|which| Ok((*which, terms(*which, dispatcher)?)));
        Ok(Some((place, rates.collect::<Result<Rates, Failure>>()?)))
    }

    /// The same as [`SharedRate::of`] for a push, of its rate of sending alone.
    pub(crate) fn of_sending(
        args: &SendingArgs,
        settings: &[Setting],
        layers: &Layers,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        let dispatcher = dispatcher_settings(args)?;
        Self::of(&args.requests, &[Which::Sending], &dispatcher, (settings, layers), warnings)
    }

    /// The part of this process in one of the rates that the command uses. Nothing is asked yet.
    pub(crate) fn quota(&self, which: Which) -> Result<Quota, Failure> {
        let terms = self.rates.iter().find(|(it, _)| *it == which).map(|(_, terms)| terms.clone());
        let bug = || Failure::new(Exit::Bug, format!("the {} rate isn't shared: please report this", which.as_str()));
        let terms = terms.ok_or_else(bug)?;
        let quota = Quota::new(self.place.clone(), which, self.member.clone(), terms, self.secrets.clone());
        quota.map_err(|error| self.refused(which, &error))
    }

    /// Why a rate can't be shared, with what to do.
    pub(crate) fn refused(&self, which: Which, error: &QuotaError) -> Failure {
        let option = option_of(which);
        match error {
            QuotaError::OtherRate(others) => {
                let mine = self.rates.iter().find(|(it, _)| *it == which).map_or("", |(_, terms)| &terms.label);
                let message = format!("{}: {others}, and `{option}` is {mine} here", self.place);
                let hint = format!(
                    "name the same `{option}` for all, or share another one elsewhere; a process that was killed is \
                     forgotten after ten seconds"
                );
                Failure::usage(message).with_hint(hint)
            }
            QuotaError::Unreachable(why) => Failure::usage(format!("`--share-rate`: {why}")).with_hint(self.advice()),
            QuotaError::Refused(why) => Failure::usage(format!("`--share-rate`: {why}")).with_hint(self.mending()),
        }
    }

    /// What to do where it is refused.
    fn mending(&self) -> String {
        match &self.place {
            Place::File(_) => self.advice(),
            Place::Redis(_) if cfg!(not(feature = "redis")) => {
                "build it with `--features redis`, or share the rate by a file".to_owned()
            }
            // Why it is refused says which of these.
            Place::Redis(address) => {
                let authority = if address.tls { ", or in `--ca-cert`" } else { "" };
                let where_it_is = "what to mend is at the server, in the address or in the password";
                self.with_source(format!("{where_it_is} (CONTACTSYNC_REDIS_PASSWORD){authority}"))
            }
        }
    }

    /// What to do where it stays out of reach.
    pub(crate) fn advice(&self) -> String {
        self.with_source(match &self.place {
            Place::File(_) => {
                "name a file on a local disk, in a folder that is there and that this user may write to; it is made where it \
                 isn't there"
                    .to_owned()
            }
            Place::Redis(address) => {
                let certificate = if address.tls { ", certificate (`--ca-cert`)" } else { "" };
                format!(
                    "check host and port{certificate}, user and password (CONTACTSYNC_REDIS_PASSWORD) of the server"
                )
            }
        })
    }

    /// A piece of advice, with what sets the option where nobody typed it.
    fn with_source(&self, advice: String) -> String {
        match &self.set_in {
            Some(source) => format!("{advice}; `share_rate` is set in {source}"),
            None => advice,
        }
    }

    /// The file that is written, if it is one, with the option that asks for it.
    pub(crate) fn output(&self) -> Option<(&'static str, PathBuf)> {
        match &self.place {
            Place::File(path) => Some(("--share-rate", path.clone())),
            Place::Redis(_) => None,
        }
    }
}

/// Where a rate is shared, if anywhere. What was given is never quoted before it is known to hold no password.
fn place(args: &RequestArgs, settings: &[Setting]) -> Result<Option<Place>, Failure> {
    let Some(given) = &args.share_rate else { return Ok(None) };
    let given = given.expose_secret();
    let place: Place = given.parse().map_err(|error: PlaceError| {
        let failure = Failure::usage(format!("`--share-rate`: {error}"));
        match set_in(settings) {
            Some(source) => failure.with_hint(format!("`share_rate` is set in {source}")),
            None => failure,
        }
    })?;
    if is_setting(given) {
        let message = format!("`--share-rate` names where the rate is shared, which {given} can't be meant for");
        let hint = format!("the rate itself is that of `--rate`; a file of that name is written ./{given}");
        return Err(Failure::usage(message).with_hint(hint));
    }
    if place == Place::File(PathBuf::from(STANDARD_STREAM)) {
        let message = "`--share-rate` names a file that is read and written: it can't be standard output";
        return Err(Failure::usage(message));
    }
    Ok(Some(place))
}

/// What sets the option, where nobody typed it.
fn set_in(settings: &[Setting]) -> Option<&Source> {
    let source = settings.iter().find(|it| it.key == "share_rate").map(|setting| &setting.source);
    source.filter(|source| **source != Source::Flag)
}

/// A rate, or a word that turns something on or off: nobody calls a file so.
fn is_setting(text: &str) -> bool {
    rate(text).is_ok() || rate(&format!("{text}/s")).is_ok() || ["none", "off", "on", "true", "false"].contains(&text)
}

/// The option that names a rate.
pub(crate) fn option_of(which: Which) -> &'static str {
    match which {
        Which::Sending => "--rate",
        Which::Reading => "--profile-rate",
    }
}

/// What others are told of a rate.
fn terms(which: Which, dispatcher: &dispatcher::Settings) -> Result<Terms, Failure> {
    let (rate, burst) = match which {
        Which::Sending => (dispatcher.rate, dispatcher.burst),
        Which::Reading => (dispatcher.profile_rate, dispatcher.profile_rate.default_burst()),
    };
    if let Some((plan, label)) = rate.plan(burst).zip(label(rate)) {
        return Ok(Terms::new(plan.interval, plan.burst_time, label));
    }
    let option = option_of(which);
    let what = if rate == Rate::Unlimited { "unlimited" } else { "too high to be planned" };
    let message = format!("`{option}` is {what}: there is nothing to share by `--share-rate`");
    let hint = format!("name the rate within which all processes are to keep together, as `{option} 100/s`");
    Err(Failure::usage(message).with_hint(hint))
}

/// A rate as it is typed.
fn label(rate: Rate) -> Option<String> {
    let Rate::Limited { count, per } = rate else { return None };
    let unit = match per.as_secs() {
        1 => "s",
        60 => "m",
        _ => "h",
    };
    Some(format!("{count}/{unit}"))
}

fn password(layers: &Layers, warnings: &mut Vec<String>) -> Result<Option<SecretString>, Failure> {
    let environment = layers.environment();
    let Some(source) = PASSWORD.source(environment)? else { return Ok(None) };
    let password = PASSWORD.read(environment, warnings)?;
    if password.is_empty() {
        return Err(Failure::usage(format!("the password of Redis is empty, as {source} has it")));
    }
    Ok(Some(SecretString::from(password.as_str())))
}

/// A number may be that of processes on many machines, so it is random.
fn member() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let unnamed = |error| Failure::new(Exit::Bug, format!("the system gives no random numbers: {error}"));
    getrandom::fill(&mut bytes).map_err(unnamed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
