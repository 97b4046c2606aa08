use std::net::ToSocketAddrs;

use dispatcher::{Broken, HttpLines, HttpSettings, Reply, is_loopback};
use jiff::Timestamp;

use super::{Finding, ill, well};
use crate::{
    exit::Exit,
    failure::Failure,
    layers::{Environment, Layers},
    settings::Credentials,
};

/// A clock that is off by more breaks the order of reports and may break TLS.
const MOST_SECONDS_OFF: i64 = 60;

/// Whether there are credentials, and where they are set.
pub(super) fn credentials(layers: &Layers) -> Finding {
    match (Credentials::look_up(layers), Credentials::sources(layers)) {
        (Ok(credentials), Ok([(_, key), (_, secret)])) => {
            let from = |source: Option<crate::layers::Source>| source.map_or_else(String::new, |it| it.to_string());
            let warnings = credentials.warnings.into_iter().map(|warning| format!("; {warning}"));
            let warnings: String = warnings.collect();
            well("credentials", format!("key from {}, secret from {}{warnings}", from(key), from(secret)))
        }
        (Err(failure), _) | (_, Err(failure)) => ill("credentials", failure.message, failure.hint, failure.exit),
    }
}

/// Whether somebody answers where the push goes.
pub(super) fn network(
    http: &HttpSettings,
    environment: &Environment,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let url = &http.base_url;
    findings.push(well("target", url.as_str().trim_end_matches('/')));
    let proxy = if is_loopback(url) { None } else { proxy_of(http, environment) };
    let host = url.host_str().unwrap_or_default();
    match &proxy {
        Some(source) => findings.push(well("proxy", format!("as {source} says; it looks names up"))),
        None => findings.push(name_of(host, url.port_or_known_default().unwrap_or(443))),
    }
    let cannot_start = |error| Failure::new(Exit::OutOfReach, format!("the network can't be tried: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    let lines = HttpLines::new(http).map_err(Failure::usage)?;
    let asked_at = Timestamp::now();
    match runtime.block_on(lines.reach()) {
        Ok(reply) => {
            let secure = if url.scheme() == "https" { "its certificate verifies, " } else { "" };
            findings
                .push(well("connection", format!("{secure}it answers (HTTP {}: any answer will do)", reply.status)));
            findings.push(clock(&reply, asked_at));
        }
        Err(broken) => {
            let hint = match &broken {
                Broken::Certificate(fault) => fault.advice(),
                Broken::Timeout(_) => "check firewall and proxy (`--proxy`)",
                Broken::Network { .. } => "check `--base-url`, `--region`, firewall and proxy (`--proxy`)",
            };
            findings.push(ill("connection", broken.to_string(), Some(hint.to_owned()), Exit::OutOfReach));
        }
    }
    Ok(())
}

/// Where a proxy is set, if one is.
fn proxy_of(http: &HttpSettings, environment: &Environment) -> Option<String> {
    if http.proxy.is_some() {
        return Some("`--proxy` or CONTACTSYNC_PROXY".to_owned());
    }
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.into_iter().find(|name| environment.is_set(name)).map(str::to_owned)
}

fn name_of(host: &str, port: u16) -> Finding {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    match (plain, port).to_socket_addrs() {
        Ok(addresses) => well("name", format!("{host} is known, addresses: {}", addresses.count())),
        Err(error) => {
            let hint = "check the spelling of `--base-url`, and the name servers of this machine".to_owned();
            ill("name", format!("{host} can't be looked up: {error}"), Some(hint), Exit::OutOfReach)
        }
    }
}

fn clock(reply: &Reply, asked_at: Timestamp) -> Finding {
    let date = reply.date.as_deref().and_then(|date| dispatcher::http_date(date, asked_at));
    let Some(date) = date else { return well("clock", "the server doesn't say its time: not compared") };
    let off = asked_at.as_second() - date.as_second();
    if off.abs() <= MOST_SECONDS_OFF {
        return well("clock", format!("{} s apart from the server's", off.abs()));
    }
    let which = if off > 0 { "ahead of" } else { "behind" };
    let hint = "set it (NTP): the times in reports decide which record is the later one".to_owned();
    ill("clock", format!("{} s {which} the server's", off.abs()), Some(hint), Exit::Usage)
}
