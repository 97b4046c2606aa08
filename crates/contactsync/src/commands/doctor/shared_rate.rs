use std::time::{Duration, Instant};

use quota::{QuotaError, Wait, Which};

use super::{Finding, ill, well};
use crate::{
    args::SendingArgs,
    exit::Exit,
    failure::Failure,
    layers::{Layers, Setting},
    pipeline::told_to_wait,
    settings::SharedRate,
};

const WHAT: &str = "shared rate";
/// What is planned ahead at once lasts 50 ms at most: an answer that takes longer than this is late for it now and then.
const SLOW: Duration = Duration::from_millis(20);

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
    // The first look makes the connection, which a run makes once.
    let looked = runtime.block_on(async {
        quota.look().await?;
        let asked = Instant::now();
        let wait = quota.look().await?;
        Ok((asked.elapsed(), wait))
    });
    Ok(Some(match looked {
        Ok((took, wait)) => answered(&shared, took, wait, &warnings),
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
    if wait.nanos > 0 {
        details.push(format!("warning: {}", told_to_wait(wait)));
    }
    if took > SLOW {
        let ms = SLOW.as_millis();
        details.push(format!(
            "warning: above {ms} ms the whole rate may not be reached: starts are planned at most 50 ms ahead"
        ));
    }
    Finding { details: details.join("\n"), ..well(WHAT, said) }
}
