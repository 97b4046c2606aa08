//! The figures as messages of OTLP.

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

use crate::monitor::figures::{Figures, LATENCY_BOUNDS_MS};

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(super) fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub(super) fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Who says all this.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes.iter().map(|(key, value)| text(key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "contactsync".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// What delivers spans.
pub(super) fn trace_request(resource: &Resource, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, schema_url: String::new() }];
    let resource = Some(resource.clone());
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }],
    }
}

/// What delivers metrics.
pub(super) fn metrics_request(resource: &Resource, figures: &Figures) -> ExportMetricsServiceRequest {
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope()), metrics: metrics(figures), schema_url: String::new() }];
    let resource = Some(resource.clone());
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, schema_url: String::new() }],
    }
}

fn metrics(figures: &Figures) -> Vec<Metric> {
    let times = Times::of(figures);
    let rows = figures.rows.iter().map(|(outcome, reason, rows)| {
        let reason = reason.map(|reason| text("reason", reason.as_str()));
        (std::iter::once(text("outcome", outcome.as_str())).chain(reason).collect::<Vec<_>>(), *rows)
    });
    let attempts = figures.attempts.iter().map(|(kind, attempts)| (vec![text("kind", kind)], *attempts));
    let mut all = vec![
        times.counter("contactsync.rows", "Rows decided, by outcome and reason.", "{row}", rows),
        times.counter("contactsync.rows.read", "Rows read.", "{row}", [(vec![], figures.rows_read)]),
        times.counter("contactsync.requests", "Requests started, by kind.", "{request}", attempts),
        times.counter("contactsync.retries", "Attempts after the first.", "{request}", [(vec![], figures.retries)]),
        times.latency(figures),
        times.gauge("contactsync.requests.in_flight", "Requests under way.", "{request}", figures.in_flight as f64),
        times.gauge("contactsync.held", "1 while sending is held.", "1", f64::from(u8::from(figures.held))),
        times.gauge(
            "contactsync.running",
            "1 while the run goes on.",
            "1",
            f64::from(u8::from(figures.ended.is_none())),
        ),
    ];
    if figures.about.rate_limit.is_finite() {
        let rate = figures.about.rate_limit;
        all.push(times.gauge("contactsync.rate_limit", "Requests that may start in a second.", "{request}/s", rate));
    }
    if let Some(ended) = figures.ended {
        let code = f64::from(ended.exit.code());
        all.push(times.gauge("contactsync.exit_code", "The status that the run ended with.", "1", code));
    }
    all
}

/// Since when is counted, and until when.
struct Times {
    start: u64,
    now: u64,
}

impl Times {
    fn of(figures: &Figures) -> Self {
        let nanos = |ms: i64| u64::try_from(ms).unwrap_or_default() * 1_000_000;
        Self { start: nanos(figures.started_at_ms), now: nanos(figures.at_ms) }
    }

    fn counter(
        &self,
        name: &str,
        description: &str,
        unit: &str,
        points: impl IntoIterator<Item = (Vec<KeyValue>, u64)>,
    ) -> Metric {
        let point = |(attributes, value): (Vec<KeyValue>, u64)| NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            value: Some(number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        };
        let sum = Sum {
            data_points: points.into_iter().map(point).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        };
        metric(name, description, unit, Data::Sum(sum))
    }

    fn gauge(&self, name: &str, description: &str, unit: &str, value: f64) -> Metric {
        let point = NumberDataPoint {
            time_unix_nano: self.now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        metric(name, description, unit, Data::Gauge(Gauge { data_points: vec![point] }))
    }

    fn latency(&self, figures: &Figures) -> Metric {
        let latency = &figures.latency;
        let point = HistogramDataPoint {
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            count: latency.count,
            sum: Some(latency.sum_seconds),
            bucket_counts: latency.rows.clone(),
            explicit_bounds: LATENCY_BOUNDS_MS.map(|ms| ms as f64 / 1_000.0).to_vec(),
            ..HistogramDataPoint::default()
        };
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let description = "What the last attempt of each row decided took until its answer.";
        let histogram = Histogram { data_points: vec![point], aggregation_temporality };
        metric("contactsync.answer.duration", description, "s", Data::Histogram(histogram))
    }
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> Metric {
    let (name, description, unit) = (name.to_owned(), description.to_owned(), unit.to_owned());
    Metric { name, description, unit, data: Some(data), ..Metric::default() }
}
