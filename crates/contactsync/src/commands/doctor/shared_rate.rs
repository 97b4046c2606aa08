use std::time::Duration;

use quota::{QuotaError, Wait, Which};

use super::{Finding, ill, well};
use crate::{
    args::SendingArgs,
    exit::Exit,
    failure::Failure,
    layers::{Layers, Setting},
    pipeline::{slow_answer, timed_look, told_to_wait},
    settings::SharedRate,
};

const WHAT: &str = "shared rate";

/// Whether the place of a shared rate can be asked, and nobody there keeps to another rate. None where none is shared.
pub(super) fn shared_rate(
    args: &SendingArgs,
    settings: &[Setting],
    layers: &Layers,
) -> Result<Option<Finding>, Failure> {
    let mut warnings = Vec::new();
    let shared = match SharedRate::of_sending(args, settings, layers, &mut warnings) {
        Ok(None) => return Ok(None),
        Ok(Some(shared)) => shared,
        Err(failure) => return Ok(Some(ill(WHAT, failure.message, failure.hint, failure.exit))),
    };
    let cannot_start = |error| Failure::new(Exit::OutOfReach, format!("the shared rate can't be asked: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    let mut quota = shared.quota(Which::Sending)?;
    let looked = runtime.block_on(timed_look(&mut quota));
    Ok(Some(match looked {
        Ok((wait, took)) => answered(&shared, took, wait, &warnings),
        Err(QuotaError::Unreachable(why)) => ill(WHAT, why, Some(shared.advice()), Exit::OutOfReach),
        Err(error) => {
            let failure = shared.refused(Which::Sending, &error);
            ill(WHAT, failure.message, failure.hint, failure.exit)
        }
    }))
}

fn answered(shared: &SharedRate, took: Duration, wait: Wait, warnings: &[String]) -> Finding {
    let labels = shared.rates.iter().map(|(_, terms)| terms.label.as_str()).collect::<String>();
    let milliseconds = took.as_secs_f64() * 1_000.0;
    let said =
        format!("{} answers in {milliseconds:.1} ms, nobody shares it at another rate than {labels}", shared.place);
    let mut details: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    let remarks = [told_to_wait(wait), slow_answer(took)];
    details.extend(remarks.into_iter().flatten().map(|what| format!("warning: {what}")));
    Finding { details: details.join("\n"), ..well(WHAT, said) }
}
