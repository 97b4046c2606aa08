//! The figures in the text format of Prometheus, version 0.0.4: what the textfile collector of `node_exporter` reads.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::figures::{Figures, LATENCY_BOUNDS_MS};
use crate::exit::Exit;

/// What a metrics file shows.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) figures: Figures,
    /// Rows decided in a second, over the time since the last file.
    pub(super) rows_per_second: f64,
    /// When a run last ended with 0, in seconds since 1970; none where that isn't known.
    pub(super) last_success: Option<f64>,
}

/// The name of the series that the next run takes over.
pub(super) const LAST_SUCCESS: &str = "contactsync_last_success_timestamp_seconds";

impl Page {
    /// When a run last ended with 0, this one included. The sandbox isn't the service: a `--sandbox` left in a crontab is no
    /// success of its job.
    pub(super) fn last_success(figures: &Figures, before: Option<f64>) -> Option<f64> {
        let this = figures.ended.filter(|ended| ended.exit == Exit::Success && !figures.about.sandbox);
        this.map(|ended| seconds(ended.succeeded_at_ms)).into_iter().chain(before).reduce(f64::max)
    }

    /// The text. Each series bears the label `sync`, so that files of several jobs can lie side by side.
    pub(super) fn text(self, sync: &str) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_labels([("sync".into(), sync.to_owned().into())].into_iter());
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { figures, rows_per_second, last_success } = self;
        let mut all = Families(encoder);
        // The suffix `_total` is put behind the names of counters.
        all.counters(
            "contactsync_rows",
            "Rows decided, by outcome and reason; reason is empty where there is none.",
            figures.rows.iter().map(|(outcome, reason, rows)| {
                (vec![("outcome", outcome.as_str()), ("reason", reason.map_or("", |it| it.as_str()))], *rows)
            }),
        )?;
        all.counters("contactsync_rows_read", "Rows read.", [(vec![], figures.rows_read)])?;
        all.counters(
            "contactsync_attempts",
            "Requests started, by kind: contact sets contacts, register asks for EUIDs, profile reads users.",
            figures.attempts.iter().map(|(kind, attempts)| (vec![("kind", *kind)], *attempts)),
        )?;
        all.counters("contactsync_retries", "Attempts after the first, of rows decided.", [(vec![], figures.retries)])?;
        all.latency(figures)?;
        all.gauge("contactsync_in_flight", "Requests under way.", figures.in_flight as f64)?;
        all.gauge(
            "contactsync_rows_per_second",
            "Rows decided in a second since the file was last written; 0 once the run has ended.",
            *rows_per_second,
        )?;
        all.gauge(
            "contactsync_rate_limit_per_second",
            "Requests that may start in a second; +Inf without a limit.",
            figures.about.rate_limit,
        )?;
        all.gauge(
            "contactsync_held",
            "1 while nothing is sent since the service, or the shared rate, is out of reach.",
            f64::from(u8::from(figures.held)),
        )?;
        all.gauge(
            "contactsync_running",
            "1 while the run goes on; it stays 1 where the run was killed.",
            f64::from(u8::from(figures.ended.is_none())),
        )?;
        all.gauge("contactsync_run_start_timestamp_seconds", "When the run began.", seconds(figures.started_at_ms))?;
        if let Some(ended) = figures.ended {
            all.gauge("contactsync_run_end_timestamp_seconds", "When the run ended.", seconds(ended.at_ms))?;
            let code = f64::from(ended.exit.code());
            all.gauge("contactsync_run_exit_code", "The exit status that the run ended with.", code)?;
        }
        if let Some(cause) = figures.stopped_by {
            let help = "1, with what stopped the run as its cause; missing where nothing did.";
            all.labelled_gauge("contactsync_run_stopped", help, &[("cause", cause)], 1.0)?;
        }
        if let Some(at) = last_success {
            all.gauge(
                LAST_SUCCESS,
                "When a run last ended with status 0, in this run or one before it; none with the sandbox.",
                *at,
            )?;
        }
        let about = &figures.about;
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("command", about.command),
            ("target", &about.target),
            ("sandbox", if about.sandbox { "true" } else { "false" }),
        ];
        all.labelled_gauge("contactsync_run_info", "What the run is; always 1.", &labels, 1.0)
    }
}

/// Families of series, one after the other.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        write(self.0.encode_descriptor(name, help, None, kind)?)
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |mut encoder| {
            for (labels, value) in series {
                ConstCounter::new(value).encode(encoder.encode_family(&labels)?)?;
            }
            Ok(())
        })
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |encoder| ConstGauge::new(value).encode(encoder))
    }

    fn labelled_gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |mut encoder| {
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)
        })
    }

    fn latency(&mut self, figures: &Figures) -> fmt::Result {
        let help = "What the last attempt of each row decided took until its answer.";
        let bounds = LATENCY_BOUNDS_MS.map(|ms| ms as f64 / 1_000.0).into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(figures.latency.rows.iter().copied()).collect();
        let (sum, count) = (figures.latency.sum_seconds, figures.latency.count);
        self.family("contactsync_answer_latency_seconds", help, MetricType::Histogram, |mut encoder| {
            encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}
