//! `doctor`: whether all is there that a push needs. A room for each thing that is looked at.

mod metrics_at;
mod network;
mod report_at;
mod shared_rate;
mod state_at;
mod user;

use std::fs;

use model::{Shard, escape_controls};

use crate::{
    args::DoctorArgs,
    exit::Exit,
    failure::Failure,
    layers::{Layers, Setting},
    settings::{ReportSettings, Target},
    terminal::write_stdout,
};

/// One line of what was found.
struct Finding {
    what: &'static str,
    said: String,
    /// Lines below it.
    details: String,
    /// What to do, and with which status to end; none: it is well.
    fault: Option<(String, Exit)>,
}

/// `doctor`: looks at everything that a push needs, without sending a contact.
pub(crate) fn doctor(args: &DoctorArgs, settings: &[Setting], layers: &Layers) -> Result<Exit, Failure> {
    let mut findings = vec![configuration(settings)];
    findings.extend(args.shard.map(shard));
    if args.sending.requests.sandbox {
        findings.push(well("network", "the sandbox runs in the process of the push: nothing to check"));
    } else {
        findings.push(network::credentials(layers));
        match Target::without_credentials(&args.sending.requests, settings) {
            Ok(http) => network::network(&http, layers.environment(), &mut findings)?,
            Err(failure) => findings.push(ill("target", failure.message, failure.hint, failure.exit)),
        }
    }
    findings.extend(shared_rate::shared_rate(&args.sending, settings, layers)?);
    if let Some(euid) = args.euid {
        findings.push(user::user_at(euid, &args.sending.requests, settings, layers)?);
    }
    let report = ReportSettings::of_push(&args.report, args.shard)?;
    if let Some(path) = &report.path {
        findings.push(report_at::place_of(path, report.force));
        // Only a file takes room.
        if fs::metadata(path).map_or(true, |metadata| metadata.is_file()) {
            findings.push(report_at::room_for(path, &args.inputs, args.shard));
        }
    }
    findings.extend(args.metrics_file.as_deref().map(metrics_at::metrics_at));
    if let Some(path) = &args.state {
        let target =
            Target::of(&args.sending.requests, sandbox::SandboxOptions::default(), settings, layers, &mut Vec::new());
        state_at::state_at(path, target.ok().as_ref(), args.shard, &mut findings);
    }
    write_stdout(told(&findings).as_bytes())?;
    Ok(findings.iter().find_map(|finding| finding.fault.as_ref()).map_or(Exit::Success, |(_, exit)| *exit))
}

fn well(what: &'static str, said: impl Into<String>) -> Finding {
    Finding { what, said: said.into(), details: String::new(), fault: None }
}

fn ill(what: &'static str, said: impl Into<String>, hint: Option<String>, exit: Exit) -> Finding {
    Finding { what, said: said.into(), details: String::new(), fault: Some((hint.unwrap_or_default(), exit)) }
}

fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, said, details, fault } in findings {
        let mark = if fault.is_some() { "FAIL" } else { "ok" };
        text += &format!("{mark:<5} {what:<14} {}\n", escape_controls(said));
        for line in details.lines().chain(fault.iter().flat_map(|(hint, _)| hint.lines())) {
            text += &format!("{:21}{}\n", "", escape_controls(line));
        }
    }
    text
}

fn shard(shard: Shard) -> Finding {
    let count = shard.count();
    let others = if count == 1 { "all rows".to_owned() } else { format!("the other {} are other runs'", count - 1) };
    well("shard", format!("{shard}, counted from 0: {others}"))
}

/// Whoever comes here has a configuration that can be read.
fn configuration(settings: &[Setting]) -> Finding {
    let mut sources: Vec<String> = settings.iter().map(|setting| setting.source.to_string()).collect();
    sources.dedup();
    let said = if sources.is_empty() { "defaults only".to_owned() } else { format!("from {}", sources.join(", ")) };
    well("configuration", said)
}
