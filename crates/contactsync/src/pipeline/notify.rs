use std::time::Duration;

use report::Summary;

use crate::{args::NotifyFormat, exit::Exit, settings::NotifySettings, terminal::Printer};

/// How often a summary is posted before it is given up, and how long is waited in between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Posts the summary, which holds no contact value. A run doesn't end otherwise because nobody heard of it. Blocking.
pub(crate) fn notify(settings: Option<&NotifySettings>, summary: &Summary, printer: &Printer) {
    let Some(settings) = settings else { return };
    if let Err(error) = post(settings, &body(settings.format, summary)) {
        printer.warning(&format!("the summary could not be posted (`--notify`): {error}"), None);
    }
}

fn body(format: NotifyFormat, summary: &Summary) -> Vec<u8> {
    let body = match format {
        NotifyFormat::Json => serde_json::to_vec(summary),
        NotifyFormat::Slack => {
            let ended = match summary.exit_code {
                0 => "contactsync: all is well".to_owned(),
                1 if summary.verified.is_some_and(|found| found.different > 0) => {
                    "contactsync: finished, and rows differ from what the service holds".to_owned()
                }
                1 => "contactsync: finished, and some rows need a look".to_owned(),
                code => match summary.stopped_by {
                    Some("outage") => format!(
                        "contactsync: stopped: the service stayed out of reach, or isn't the service (status {code})"
                    ),
                    Some(cause) => format!("contactsync: stopped by {cause} (status {code})"),
                    None if code == Exit::Usage.code() => {
                        format!("contactsync: refused by a limit, nothing was sent (status {code})")
                    }
                    None if code == Exit::Bug.code() => format!("contactsync: stopped by a bug (status {code})"),
                    None => format!("contactsync: finished, and its summary could not be written (status {code})"),
                },
            };
            serde_json::to_vec(&serde_json::json!({"text": format!("{ended}\n```{}```", summary.for_people(&[]))}))
        }
    };
    body.unwrap_or_default()
}

fn post(settings: &NotifySettings, body: &[u8]) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut tries = 1;
        loop {
            let posted = dispatcher::post_json(&settings.http, &settings.address, body.to_vec()).await;
            let fault = match posted {
                Ok(200..=299) => return Ok(()),
                // Asking again wouldn't change these.
                Ok(status @ 300..=499) if status != 429 => return Err(format!("HTTP {status}")),
                Ok(status) => format!("HTTP {status}"),
                Err(error) => error,
            };
            if tries == TRIES {
                return Err(fault);
            }
            tries += 1;
            tokio::time::sleep(PAUSE).await;
        }
    })
}
