use dispatcher::{Broken, Codes, HttpLines, Line, Lines, Reply, Request, Verdict, judge};
use model::{
    ApiCode, Euid,
    limits::KNOWN_CONTACTS,
    profile, shown_names,
    wire::{PROFILE_PATH, ReadProfiles},
};

use super::{Finding, ill, well};
use crate::{
    args::RequestArgs,
    exit::Exit,
    failure::Failure,
    layers::{Layers, Setting},
    settings::Target,
};

const WHAT: &str = "user";

/// Reads one user, and says what the answer looks like: nobody who builds this program has seen one of the service.
pub(super) fn user_at(
    euid: Euid,
    args: &RequestArgs,
    settings: &[Setting],
    layers: &Layers,
) -> Result<Finding, Failure> {
    let target = Target::of(args, sandbox::SandboxOptions::default(), settings, layers, &mut Vec::new());
    let http = match target {
        Ok(Target::Service(http)) => http,
        Ok(Target::Sandbox(_)) => return Ok(well(WHAT, "not read: the sandbox of a push begins empty")),
        Err(failure) => {
            return Ok(ill(WHAT, format!("not read: {}", failure.message), failure.hint, failure.exit));
        }
    };
    let bug = |error| Failure::new(Exit::Bug, format!("a request can't be written: {error}"));
    let body = serde_json::to_vec(&ReadProfiles { euid: &[euid], contacts: &KNOWN_CONTACTS }).map_err(bug)?;
    let request = Request { path: PROFILE_PATH, body, fresh_connection: false };
    let cannot_start = |error| Failure::new(Exit::OutOfReach, format!("the network can't be tried: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    let mut line = HttpLines::new(&http).map_err(Failure::usage)?.line();
    Ok(match runtime.block_on(line.send(request)) {
        Ok(reply) => judged(euid, &reply),
        Err(broken) => unanswered(&broken),
    })
}

fn unanswered(broken: &Broken) -> Finding {
    let hint = match broken {
        Broken::Certificate(fault) => fault.advice(),
        Broken::Timeout(_) | Broken::Network { .. } => "try again; see what stands above of the connection",
    };
    ill(WHAT, format!("not read: {broken}"), Some(hint.to_owned()), Exit::OutOfReach)
}

/// What an answer says, never in its own words: they may hold values.
fn judged(euid: Euid, reply: &Reply) -> Finding {
    let (verdict, answered) = judge(reply, &Codes::default(), false);
    let code = answered.code.map(|code| {
        let meaning = ApiCode::documented(code).map_or("which is documented nowhere", |entry| entry.meaning);
        format!(", code {code}: {meaning}")
    });
    let how = format!("HTTP {}{}", reply.status, code.unwrap_or_default());
    let mut finding = match verdict {
        Verdict::Accepted(_) => understood(euid, &reply.body),
        Verdict::Denied(_) => {
            let hint = "check key, secret and `--region`".to_owned();
            ill(
                WHAT,
                format!("the service refuses the credentials or the project ({how})"),
                Some(hint),
                Exit::Credentials,
            )
        }
        Verdict::Refused(_) if answered.code.is_some() => {
            let hint = "check the number given to `--euid`".to_owned();
            ill(WHAT, format!("the read is refused ({how})"), Some(hint), Exit::Usage)
        }
        Verdict::Refused(_) | Verdict::Again(..) | Verdict::NotTheService(_) => {
            let hint = "where it stays so, the service can't be asked what it holds: `verify` and `--compare-service` are \
                        of no use with it";
            ill(WHAT, format!("not read ({how})"), Some(hint.to_owned()), Exit::OutOfReach)
        }
    };
    finding.details = format!("shape of the answer, without values:\n{}", profile::describe(&reply.body));
    finding
}

fn understood(euid: Euid, body: &[u8]) -> Finding {
    match profile::read(body, &KNOWN_CONTACTS) {
        Ok(profiles) => well(
            WHAT,
            match profiles.get(euid) {
                None => "read and understood: the service has no entry for this EUID".to_owned(),
                Some(profile) => {
                    let held: Vec<&str> =
                        KNOWN_CONTACTS.into_iter().filter(|name| profile.get(name).is_some()).collect();
                    let which = if held.is_empty() { "none of the known".to_owned() } else { shown_names(&held) };
                    format!("read and understood; contacts that are there: {which}")
                }
            },
        ),
        Err(unknown) => {
            let hint = format!(
                "this version ({}) concludes nothing from such answers: `verify` and `--compare-service` stop with status 6\n\
                 please send the lines above, which hold no values, to those who maintain contactsync: nobody of them has \
                 seen an answer of the service",
                env!("CARGO_PKG_VERSION")
            );
            ill(WHAT, format!("read, but not understood: {unknown}"), Some(hint), Exit::OutOfReach)
        }
    }
}
