//! Traces and metrics over OTLP, as a collector in the test's own process takes them.

#![expect(clippy::float_cmp, reason = "counts are exact")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as Any},
    metrics::v1::{HistogramDataPoint, Metric, metric::Data, number_data_point::Value as Number},
    trace::v1::Span,
};
use prost::Message;
use serde_json::Value;

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

/// What one request brought.
#[derive(Clone)]
struct Arrived {
    path: String,
    head: String,
    body: Vec<u8>,
}

/// A collector that answers everything with one status.
struct Collector {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    port: u16,
}

impl Collector {
    fn answering(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let all = Arc::clone(&arrived);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (all, mut stream) = (Arc::clone(&all), stream.unwrap());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read_request(&mut reader) {
                        all.lock().unwrap().push(request);
                        write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").unwrap();
                    }
                });
            }
        });
        Self { arrived, port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn requests(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// The metrics that came last, by name, once resource and names were looked at.
    fn metrics(&self) -> Vec<Metric> {
        let last = self.requests().into_iter().rfind(|request| request.path == "/v1/metrics").unwrap();
        let request = ExportMetricsServiceRequest::decode(&last.body[..]).unwrap();
        let of = &request.resource_metrics[0];
        assert_eq!(text(&of.resource.as_ref().unwrap().attributes, "service.name"), "nightly");
        assert_eq!(text(&of.resource.as_ref().unwrap().attributes, "team"), "a, b");
        of.scope_metrics[0].metrics.clone()
    }

    /// All spans.
    fn spans(&self) -> Vec<Span> {
        let requests = self.requests().into_iter().filter(|request| request.path == "/v1/traces");
        requests
            .flat_map(|request| ExportTraceServiceRequest::decode(&request.body[..]).unwrap().resource_spans)
            .flat_map(|of| of.scope_spans)
            .flat_map(|of| of.spans)
            .collect()
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Arrived> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Arrived { path: head.split(' ').nth(1)?.to_owned(), head: lower, body })
}

fn any(attributes: &[KeyValue], key: &str) -> Option<Any> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

#[track_caller]
fn text(attributes: &[KeyValue], key: &str) -> String {
    match any(attributes, key) {
        Some(Any::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

#[track_caller]
fn integer(attributes: &[KeyValue], key: &str) -> i64 {
    match any(attributes, key) {
        Some(Any::IntValue(number)) => number,
        other => panic!("{key}: {other:?}"),
    }
}

/// The sum of the points of a metric that have this attribute.
#[track_caller]
fn value(metrics: &[Metric], name: &str, with: Option<(&str, &str)>) -> f64 {
    let metric = metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}"));
    let points = match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{name}");
            &sum.data_points
        }
        Data::Gauge(gauge) => &gauge.data_points,
        other => panic!("{other:?}"),
    };
    let fits = |attributes: &[KeyValue]| {
        with.is_none_or(|(key, value)| any(attributes, key) == Some(Any::StringValue(value.to_owned())))
    };
    let points = points.iter().filter(|point| fits(&point.attributes));
    points
        .map(|point| match point.value.unwrap() {
            Number::AsInt(number) => number as f64,
            Number::AsDouble(number) => number,
        })
        .sum()
}

fn latency(metrics: &[Metric]) -> HistogramDataPoint {
    let metric = metrics.iter().find(|metric| metric.name == "contactsync.answer.duration").unwrap();
    let Data::Histogram(histogram) = metric.data.as_ref().unwrap() else { panic!("{metric:?}") };
    assert_eq!((histogram.data_points.len(), metric.unit.as_str()), (1, "s"));
    histogram.data_points[0].clone()
}

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

fn named(place: Workplace) -> Workplace {
    place.variable("OTEL_SERVICE_NAME", "nightly").variable("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,team=a%2C b")
}

const PUSH: [&str; 8] = ["push", "a.csv", "--report", "r.ndjson", "--summary", "s.json", "--retry-base", "1ms"];

#[test]
fn a_run_is_a_trace_and_its_metrics_are_those_of_the_summary() {
    let service = Service::with_faults(&["code=55105:0.2", "code=-1:0.2"]);
    let collector = Collector::answering(200);
    let place = named(service.workplace());
    let place = place.variable("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret%20word,authorization=Bearer secret-word");
    place.file("a.csv", users(300) + "x,nobody@example.com\n");
    let ran = place.run(&[&["-vvv"][..], &PUSH, &["--otlp-endpoint", &(collector.url() + "/")]].concat()).ends_with(1);
    ran.never_says("secret-word").never_says("secret word");
    let (metrics, summary) = (collector.metrics(), summary(&place));
    let number = |name: &str| summary[name].as_f64().unwrap();
    for outcome in ["synced", "rejected", "failed", "unchanged"] {
        assert!(value(&metrics, "contactsync.rows", Some(("outcome", outcome))) == number(outcome), "{outcome}");
    }
    for (reason, rows) in summary["reasons"].as_object().unwrap() {
        assert_eq!(Some(value(&metrics, "contactsync.rows", Some(("reason", reason)))), rows.as_f64());
    }
    assert_eq!(value(&metrics, "contactsync.rows.read", None), 301.0);
    assert_eq!(value(&metrics, "contactsync.requests", Some(("kind", "contact"))), number("attempts"));
    assert_eq!(value(&metrics, "contactsync.retries", None), number("retries"));
    assert_eq!(value(&metrics, "contactsync.exit_code", None), 1.0);
    assert_eq!(
        (value(&metrics, "contactsync.running", None), value(&metrics, "contactsync.rate_limit", None)),
        (0.0, 100.0)
    );
    let latency = latency(&metrics);
    assert_eq!((latency.count, latency.bucket_counts.iter().sum::<u64>()), (300, 300));
    assert_eq!(latency.bucket_counts.len(), latency.explicit_bounds.len() + 1);

    let spans = collector.spans();
    let run = spans.iter().find(|span| span.parent_span_id.is_empty()).unwrap();
    assert_eq!((run.name.as_str(), run.trace_id.len(), run.span_id.len()), ("contactsync push", 16, 8));
    let phases: Vec<&str> =
        spans.iter().filter(|span| span.parent_span_id == run.span_id).map(|span| &*span.name).collect();
    assert_eq!(phases, ["planning", "sending", "finishing"]);
    assert_eq!(spans.len(), 4);
    for span in &spans {
        assert_eq!(span.trace_id, run.trace_id);
        let (from, to) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(run.start_time_unix_nano <= from && from <= to && to <= run.end_time_unix_nano, "{span:?}");
    }
    assert_eq!(integer(&run.attributes, "contactsync.exit_code"), 1);
    assert_eq!(integer(&run.attributes, "contactsync.rows.synced") as f64, number("synced"));
    assert_eq!(integer(&run.attributes, "contactsync.rows_read"), 301);
    assert_eq!(text(&run.attributes, "contactsync.target"), service.url());
    assert_eq!(run.status.as_ref().unwrap().code, 2);
    for Arrived { path, head, body } in collector.requests() {
        assert!(matches!(&*path, "/v1/metrics" | "/v1/traces"), "{path}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        assert!(
            head.contains("x-key: secret word\r\n") && head.contains("authorization: bearer secret-word\r\n"),
            "{head}"
        );
        let body = String::from_utf8_lossy(&body);
        assert!(!body.contains("@example.com") && !body.contains("secret-word") && !body.contains("secret word"));
    }
}

#[test]
fn a_time_that_sending_is_held_is_a_span() {
    let service = Service::with_faults(&["drop:1"]);
    let collector = Collector::answering(200);
    let place = named(service.workplace()).variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    place.file("a.csv", users(30));
    let mut running = Running::start(&mut place.command(&[&PUSH[..], &["--retry-cap", "5ms"]].concat()));
    running.until_it_says("requests are held");
    service.set_faults::<&str>(&[]);
    running.finish().ends_with(0);
    let spans = collector.spans();
    let by_name = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(by_name("held").parent_span_id, by_name("sending").span_id);
    assert!(by_name("contactsync push").status.is_none());
    assert_eq!(value(&collector.metrics(), "contactsync.held", None), 0.0);
}

#[test]
fn a_run_that_is_refused_or_stopped_is_a_trace_too() {
    let collector = Collector::answering(200);
    let place = named(Workplace::new()).variable("CONTACTSYNC_OTLP_ENDPOINT", &collector.url());
    place.file("a.csv", users(3));
    place.run(&["push", "--sandbox", "a.csv", "--min-rows", "9", "--report", "r.ndjson"]).ends_with(2);
    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["planning", "contactsync push"]);
    assert_eq!(integer(&spans[1].attributes, "contactsync.exit_code"), 2);
    assert_eq!(value(&collector.metrics(), "contactsync.exit_code", None), 2.0);
}

#[test]
fn a_collector_that_refuses_hangs_or_is_gone_is_told_once_and_stops_nothing() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = Collector::answering(401);
    let place = Workplace::new();
    place.file("a.csv", users(3));
    for (endpoint, told) in [
        (refusing.url(), "metrics or spans could not be delivered: HTTP 401"),
        (format!("http://{gone}"), "metrics or spans could not be delivered: "),
        (format!("http://{}", hanging.local_addr().unwrap()), "did not take the last metrics and spans in time"),
    ] {
        let push = ["push", "--sandbox", "a.csv", "--report", "r.ndjson", "--force", "--otlp-endpoint", &endpoint];
        let ran = place.run(&push).ends_with(0);
        assert_eq!(ran.stderr.matches("--otlp-endpoint").count(), 1, "{ran}");
        ran.says(told);
        assert_eq!(place.json_lines("r.ndjson").len(), 3);
    }
}

#[test]
fn an_endpoint_keeps_the_rules_of_the_base_url() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    let push = |endpoint: &str| {
        let ran = place.run(&["push", "--sandbox", "a.csv", "--otlp-endpoint", endpoint]).ends_with(2);
        ran.never_says("secret-word")
    };
    push("https://user:secret-word@example.com").says("holds user info");
    push("http://example.com").says("unencrypted");
    push("example.com:4318/secret-word").says("`--otlp-endpoint`");
    let standard = Workplace::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://example.com:4318");
    standard.file("a.csv", users(3));
    standard.run(&["push", "--sandbox", "a.csv"]).ends_with(2).says("OTEL_EXPORTER_OTLP_ENDPOINT: http://example.com");
    let headers = Workplace::new().variable("OTEL_EXPORTER_OTLP_HEADERS", "secret-word");
    headers.file("a.csv", users(3));
    let ran = headers.run(&["push", "--sandbox", "a.csv", "--otlp-endpoint", "http://127.0.0.1:9"]).ends_with(2);
    ran.says("OTEL_EXPORTER_OTLP_HEADERS").never_says("secret-word");
    let folder = Workplace::new();
    folder.file("a.csv", users(3));
    folder.file("contactsync.toml", "otlp_endpoint = \"http://127.0.0.1:4318\"\n");
    folder.run(&["push", "--sandbox", "a.csv"]).ends_with(2).says("may not set `otlp_endpoint`");
}
