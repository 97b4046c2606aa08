use std::path::Path;

use model::Shard;
use state::{Meta, State, StateError};

use super::{Finding, ill, report_at::try_folder, well};
use crate::{exit::Exit, settings::Target};

/// Whether the state is there, whole, free, that of this target, key and shard, and can be written anew.
pub(super) fn state_at(path: &Path, target: Option<&Target>, shard: Option<Shard>, findings: &mut Vec<Finding>) {
    let folder = report::folder_of(path);
    let writable = try_folder(folder).map_err(|error| {
        let hint =
            "a state is written anew beside itself: choose another place with `--state`, or let this user write \
                    there"
                .to_owned();
        ill("state", format!("{} can't be written to: {error}", folder.display()), Some(hint), Exit::Usage)
    });
    let state = match State::open_existing(path) {
        Ok(state) => state,
        Err(StateError::Missing(path)) => {
            let first = well("state", format!("{} is not there: the first run makes it", path.display()));
            return findings.push(writable.err().unwrap_or(first));
        }
        Err(error) => return findings.push(ill("state", error.to_string(), error.hint(), Exit::Usage)),
    };
    let figures = match state.figures() {
        Ok(figures) => figures,
        Err(error) => return findings.push(ill("state", error.to_string(), error.hint(), Exit::Usage)),
    };
    let meta = state.meta();
    let of_shard = meta.shard.as_ref().map_or_else(String::new, |shard| format!(" of shard {shard}"));
    let said = format!("{} holds {} contacts of {} users{of_shard}", path.display(), figures.contacts, figures.euids);
    findings.push(match writable.and_then(|()| of_shard_too(&meta, shard)).and_then(|()| bound_to(&meta, target)) {
        Ok(bound) => well("state", format!("{said}, {bound}")),
        Err(fault) => fault,
    });
    if let Ok(disk) = rustix::fs::statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let said = format!("{} MiB free, {} MiB needed to write the state anew", mib(free), mib(figures.bytes));
        findings.push(if free > figures.bytes {
            well("room for it", said)
        } else {
            let hint = "free some, or move the state to a disk that has room".to_owned();
            ill("room for it", said, Some(hint), Exit::ReadOrWrite)
        });
    }
}

/// Whether a state knows the users of the shard that is to come. One of which nothing was ever known belongs to none.
fn of_shard_too(meta: &Meta, now: Option<Shard>) -> Result<(), Finding> {
    let then = meta.shard.as_deref().map(|then| then.split(' ').next().unwrap_or(then).to_owned());
    let now = now.map(|now| now.to_string());
    if meta.api_key.is_none() || then == now {
        return Ok(());
    }
    let of = |shard: Option<String>| shard.map_or_else(|| "all users".to_owned(), |shard| format!("shard {shard}"));
    let hint = match &then {
        Some(then) => format!("say `--shard {then}`, or name another file in `--state`, one for each shard"),
        None => "name another file in `--state`, one for each shard".to_owned(),
    };
    Err(ill("state", format!("it belongs to {}, not to {}", of(then), of(now)), Some(hint), Exit::Usage))
}

/// Whether a state belongs to where the push goes.
fn bound_to(meta: &Meta, target: Option<&Target>) -> Result<String, Finding> {
    let Some(then) = &meta.target else { return Ok("bound to nothing yet".to_owned()) };
    let Some(target) = target else { return Ok(format!("bound to {then}: not compared, as there are no credentials")) };
    let now = target.name();
    if *then != now {
        let hint = "name another file in `--state`, one for each service; where the same service has another address \
                    now: `contactsync state rebind`"
            .to_owned();
        return Err(ill("state", format!("it is bound to {then}, not to {now}"), Some(hint), Exit::Usage));
    }
    if meta.api_key.as_ref().is_some_and(|key| *key != target.key_fingerprint()) {
        let hint = "where the key of the same project was changed: `contactsync state rebind`".to_owned();
        return Err(ill("state", "it is bound to another API key", Some(hint), Exit::Usage));
    }
    Ok(format!("bound to {then}"))
}
