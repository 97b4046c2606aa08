use std::{path::Path, time::Duration};

use dispatcher::{HttpLines, HttpSettings};
use sandbox::Recording;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{base_url::base_url, credentials::Credentials, sandbox::pushed_sandbox};
use crate::{
    args::{RequestArgs, RunArgs},
    failure::Failure,
    layers::{Layers, Setting, Source},
};

/// Where the contacts of a push go.
#[derive(Debug)]
pub(crate) enum Target {
    /// To a service, under these settings.
    Service(HttpSettings),
    /// To a sandbox that this process starts.
    Sandbox(SandboxTarget),
}

/// A sandbox to start, and how to talk to it.
#[derive(Debug)]
pub(crate) struct SandboxTarget {
    /// The sandbox.
    pub(crate) options: sandbox::SandboxOptions,
    connection: Connection,
}

impl SandboxTarget {
    fn of(options: sandbox::SandboxOptions, args: &RequestArgs) -> Result<Self, Failure> {
        let connection = Connection { ca_cert_pem: None, proxy: None, ..Connection::of(args)? };
        Ok(Self { options, connection })
    }

    /// How to talk to the sandbox once it listens at `base_url`.
    pub(crate) fn http_settings(&self, base_url: Url) -> HttpSettings {
        let key = SecretString::from(self.options.api_key.as_str());
        let secret = SecretString::from(self.options.api_secret.as_str());
        self.connection.clone().settings(base_url, key, secret)
    }
}

impl Target {
    /// What a run is bound to: the base URL, or `sandbox` whatever its port.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Service(http) => http.base_url.as_str().trim_end_matches('/').to_owned(),
            Self::Sandbox(_) => "sandbox".to_owned(),
        }
    }

    /// Users are going to be read back: a sandbox has to keep them.
    pub(crate) fn keep_users(&mut self) {
        if let Self::Sandbox(target) = self {
            target.options.recording = Recording::Whole;
        }
    }

    /// A digest of the API key, which tells keys apart and can't be turned back into one.
    pub(crate) fn key_fingerprint(&self) -> String {
        let key = match self {
            Self::Service(http) => http.api_key.expose_secret(),
            Self::Sandbox(target) => &target.options.api_key,
        };
        fingerprint(key)
    }

    /// What the arguments and the layers say. Warnings are added to `warnings`.
    pub(crate) fn of(
        args: &RequestArgs,
        sandbox: sandbox::SandboxOptions,
        settings: &[Setting],
        layers: &Layers,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        if args.sandbox {
            return Ok(Self::Sandbox(SandboxTarget::of(sandbox, args)?));
        }
        let (base_url, connection) = Self::connection(args, settings)?;
        let credentials = Credentials::look_up(layers)?;
        warnings.extend(credentials.warnings);
        let http = connection.settings(base_url, credentials.key, credentials.secret);
        // It must be of use, or a report would be begun for nothing.
        HttpLines::new(&http).map_err(Failure::usage)?;
        Ok(Self::Service(http))
    }

    /// The service without credentials, to see whether it can be reached.
    pub(crate) fn without_credentials(args: &RequestArgs, settings: &[Setting]) -> Result<HttpSettings, Failure> {
        let (base_url, connection) = Self::connection(args, settings)?;
        Ok(connection.settings(base_url, SecretString::default(), SecretString::default()))
    }

    /// How another address is reached: by the same way.
    pub(super) fn http_for(args: &RequestArgs, address: Url) -> Result<HttpSettings, Failure> {
        Ok(Connection::of(args)?.settings(address, SecretString::default(), SecretString::default()))
    }

    fn connection(args: &RequestArgs, settings: &[Setting]) -> Result<(Url, Connection), Failure> {
        let given = args.base_url.as_ref().map(ExposeSecret::expose_secret);
        let source = |key: &str| settings.iter().find(|setting| setting.key == key).map(|setting| &setting.source);
        let base_url =
            base_url(given, args.region, args.allow_insecure_http).map_err(|failure| match source("base_url") {
                Some(source @ (Source::Environment(_) | Source::File(_) | Source::Profile(..))) => {
                    let hint = [failure.hint.clone(), Some(format!("the base URL is set in {source}"))];
                    failure.with_hint(hint.into_iter().flatten().collect::<Vec<_>>().join("\n"))
                }
                _ => failure,
            })?;
        if source("proxy") == Some(&Source::Flag) {
            refuse_password(args.proxy.as_ref())?;
        }
        Ok((base_url, Connection::of(args)?))
    }
}

/// What a state must belong to, for those who only look at it.
#[derive(Debug)]
pub(crate) struct Binding {
    /// As [`Target::name`] says.
    pub(crate) target: String,
    /// As [`Target::key_fingerprint`] says, where the key is at hand.
    pub(crate) api_key: Option<String>,
    /// Also under another key.
    pub(crate) accept_new_key: bool,
}

impl Binding {
    /// What the arguments and the layers say.
    pub(crate) fn of(args: &RunArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let accept_new_key = args.resume.accept_new_key;
        if args.sending.requests.sandbox {
            let target = Target::Sandbox(SandboxTarget::of(pushed_sandbox(&args.faults), &args.sending.requests)?);
            return Ok(Self { target: target.name(), api_key: Some(target.key_fingerprint()), accept_new_key });
        }
        let target = Target::Service(Target::without_credentials(&args.sending.requests, settings)?).name();
        let api_key = Credentials::key_at_hand(layers).map(|key| fingerprint(key.expose_secret()));
        Ok(Self { target, api_key, accept_new_key })
    }
}

fn fingerprint(key: &str) -> String {
    let digest = blake3::derive_key("contactsync fingerprint of an API key", key.as_bytes());
    blake3::Hash::from_bytes(digest).to_hex()[..32].to_owned()
}

#[derive(Debug, Clone)]
struct Connection {
    timeout: Duration,
    connect_timeout: Duration,
    ca_cert_pem: Option<Vec<u8>>,
    proxy: Option<SecretString>,
    max_idle: usize,
}

impl Connection {
    fn of(args: &RequestArgs) -> Result<Self, Failure> {
        Ok(Self {
            timeout: args.timeout.unwrap_or(Duration::from_secs(30)),
            connect_timeout: args.connect_timeout.unwrap_or(Duration::from_secs(10)),
            ca_cert_pem: args.ca_cert.as_deref().map(read_ca_cert).transpose()?,
            proxy: args.proxy.clone(),
            max_idle: args.in_flight.unwrap_or(dispatcher::Settings::default().in_flight),
        })
    }

    fn settings(self, base_url: Url, api_key: SecretString, api_secret: SecretString) -> HttpSettings {
        let Self { timeout, connect_timeout, ca_cert_pem, proxy, max_idle } = self;
        HttpSettings { base_url, api_key, api_secret, timeout, connect_timeout, ca_cert_pem, proxy, max_idle }
    }
}

pub(super) fn read_ca_cert(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::usage(format!("the file of `--ca-cert`, {}, can't be read: {error}", path.display())))
}

/// A command line can be read by everybody on the machine.
fn refuse_password(proxy: Option<&SecretString>) -> Result<(), Failure> {
    let Some(text) = proxy.map(ExposeSecret::expose_secret) else { return Ok(()) };
    // `user:password@host` without a scheme is a URL of its own kind, so what stands before `@` decides.
    let holds_password = match Url::parse(text) {
        Ok(url) if url.has_host() => url.password().is_some(),
        _ => text.rsplit_once('@').is_some_and(|(user_info, _)| user_info.contains(':')),
    };
    if holds_password {
        let hint = "set it in the environment instead: CONTACTSYNC_PROXY".to_owned();
        let message =
            "the URL of `--proxy` holds a password, and a command line can be read by everybody on the machine";
        return Err(Failure::usage(message).with_hint(hint));
    }
    Ok(())
}
