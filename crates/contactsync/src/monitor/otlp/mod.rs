//! Traces and metrics over OTLP, as protobuf over HTTP. The messages are made of the same figures as the metrics file; a thread
//! of its own delivers them, and a collector that is down or slow holds nobody up.

mod messages;
mod trace;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use dispatcher::Poster;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval_at},
};

use self::messages::{metrics_request, resource, trace_request};
pub(super) use self::trace::Trace;
use super::Watched;
use crate::{exit::Exit, failure::Failure, last_words::LastWords, settings::OtlpSettings, terminal::Printer};

/// How often metrics and spans are delivered.
const EVERY: Duration = Duration::from_secs(15);
const PROTOBUF: &str = "application/x-protobuf";
/// The end of the program waits at most so long for the last delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

/// Delivers what is watched, until the program ends.
pub(super) fn start(
    settings: &OtlpSettings,
    watched: Arc<Watched>,
    printer: &Printer,
    last_words: &LastWords,
) -> Result<(), Failure> {
    let poster = Poster::new(&settings.http, &settings.headers).map_err(Failure::usage)?;
    let resource = resource(&settings.attributes);
    let told = Told { printer: printer.clone(), has_told: Arc::default() };
    let mut delivery = Delivery { settings: settings.clone(), poster, resource, watched, told: told.clone() };
    let unstarted = |error| Failure::usage(format!("the delivery to `--otlp-endpoint` can't be started: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unstarted)?;
    let (end, ends) = oneshot::channel();
    let (delivered, is_delivered) = sync_channel::<()>(1);
    let deliver = move || {
        runtime.block_on(delivery.go_on(ends));
        let _ = delivered.send(());
    };
    std::thread::Builder::new().name("otlp".to_owned()).spawn(deliver).map_err(unstarted)?;
    last_words.add(move |exit, most| {
        // It may have ended by a panic, and then nobody takes this.
        let _ = end.send(exit);
        if is_delivered.recv_timeout(most.min(LAST_DELIVERY)) == Err(RecvTimeoutError::Timeout) {
            told.once("the collector did not take the last metrics and spans in time", None);
        }
    });
    Ok(())
}

/// Says once that something was not delivered.
#[derive(Clone)]
struct Told {
    printer: Printer,
    has_told: Arc<AtomicBool>,
}

impl Told {
    fn once(&self, what: &str, hint: Option<&str>) {
        if !self.has_told.swap(true, Relaxed) {
            self.printer.warning(&format!("`--otlp-endpoint`: {what}"), hint);
        }
    }
}

struct Delivery {
    settings: OtlpSettings,
    poster: Poster,
    resource: Resource,
    watched: Arc<Watched>,
    told: Told,
}

impl Delivery {
    async fn go_on(&mut self, mut ends: oneshot::Receiver<Exit>) {
        let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let exit = tokio::select! {
                exit = &mut ends => exit,
                () = async {
                    ticks.tick().await;
                    self.deliver(None).await;
                } => continue,
            };
            if let Ok(exit) = exit {
                self.watched.end_trace(exit);
                self.deliver(Some(exit)).await;
            }
            return;
        }
    }

    /// Delivers metrics, and the spans that have ended. These are kept where they are not taken.
    async fn deliver(&mut self, exit: Option<Exit>) {
        let metrics = metrics_request(&self.resource, &self.watched.figures(exit)).encode_to_vec();
        let spans = self.watched.ended_spans();
        let (count, traces) = (spans.len(), trace_request(&self.resource, spans).encode_to_vec());
        let (to_metrics, to_traces) = (&self.settings.metrics, &self.settings.traces);
        let send_traces =
            async { if count == 0 { Ok(200) } else { self.poster.post(to_traces, PROTOBUF, traces).await } };
        let (metrics, traces) = tokio::join!(self.poster.post(to_metrics, PROTOBUF, metrics), send_traces);
        if matches!(traces, Ok(200..=299)) {
            self.watched.forget_spans(count);
        }
        let faults = [metrics, traces].into_iter().filter_map(|answer| match answer {
            Ok(200..=299) => None,
            Ok(status) => Some(format!("HTTP {status}")),
            Err(error) => Some(error),
        });
        if let Some(fault) = faults.into_iter().next() {
            let hint = "the run goes on; what can't be delivered later either is told no more";
            self.told.once(&format!("metrics or spans could not be delivered: {fault}"), Some(hint));
        }
    }
}
