//! Counters and times for Prometheus, served at `/metrics`.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets, linear_buckets},
    },
    registry::Registry,
};
use protocol::Stage;
use std::time::Duration;

/// Label of a counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Kind {
    kind: String,
}

/// Metrics of one studio.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) robots: Gauge,
    pub(crate) viewers: Gauge,
    pub(crate) observations: Counter,
    pub(crate) observations_replaced: Counter,
    pub(crate) observations_over_budget: Counter,
    pub(crate) chunks: Counter,
    pub(crate) stops: Counter,
    pub(crate) inference_failures: Counter,
    pub(crate) viewer_messages_dropped: Counter,
    errors: Family<Kind, Counter>,
    chunks_dropped: Family<Kind, Counter>,
    inference_secs: Histogram,
    latency_secs: Histogram,
    stage_secs: Family<Kind, Histogram>,
    batch_size: Histogram,
    committed_rows: Histogram,
    stop_dispatch_secs: Histogram,
}

/// Histogram from a quarter of a millisecond to eight seconds.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("policy_studio"),
            robots: Gauge::default(),
            viewers: Gauge::default(),
            observations: Counter::default(),
            observations_replaced: Counter::default(),
            observations_over_budget: Counter::default(),
            chunks: Counter::default(),
            stops: Counter::default(),
            inference_failures: Counter::default(),
            viewer_messages_dropped: Counter::default(),
            errors: Family::default(),
            chunks_dropped: Family::default(),
            inference_secs: histogram(),
            latency_secs: histogram(),
            stage_secs: Family::new_with_constructor(histogram),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 7)),
            committed_rows: Histogram::new(linear_buckets(0.0, 1.0, 16)),
            stop_dispatch_secs: histogram(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let Self {
            registry,
            robots,
            viewers,
            observations,
            observations_replaced,
            observations_over_budget,
            chunks,
            stops,
            inference_failures,
            viewer_messages_dropped,
            errors,
            chunks_dropped,
            inference_secs,
            latency_secs,
            stage_secs,
            batch_size,
            committed_rows,
            stop_dispatch_secs,
        } = self;
        registry.register("robots", "Robots connected now", robots.clone());
        registry.register("viewers", "Viewers connected now", viewers.clone());
        registry.register(
            "observations",
            "Observations received",
            observations.clone(),
        );
        registry.register(
            "observations_replaced",
            "Observations replaced by a newer one before the policy took them",
            observations_replaced.clone(),
        );
        registry.register(
            "observations_over_budget",
            "Observations whose images were dropped because earlier images of the robot filled its memory budget",
            observations_over_budget.clone(),
        );
        registry.register("chunks", "Action chunks sent to robots", chunks.clone());
        registry.register(
            "chunks_dropped",
            "Action chunks computed but not sent, by reason",
            chunks_dropped.clone(),
        );
        registry.register("stops", "Stops requested", stops.clone());
        registry.register(
            "inference_failures",
            "Observations for which the policy produced no chunk",
            inference_failures.clone(),
        );
        registry.register(
            "viewer_messages_dropped",
            "Lossy messages dropped because a viewer was slow",
            viewer_messages_dropped.clone(),
        );
        registry.register(
            "errors",
            "Refused or failed connections and frames, by kind",
            errors.clone(),
        );
        registry.register(
            "inference_seconds",
            "Time the policy took per chunk",
            inference_secs.clone(),
        );
        registry.register(
            "latency_seconds",
            "From the arrival of an observation to the departure of its chunk",
            latency_secs.clone(),
        );
        registry.register(
            "stage_seconds",
            "Time the policy took per stage; robots that are answered together share their stages",
            stage_secs.clone(),
        );
        registry.register(
            "batch_size",
            "Robots that the policy answered together",
            batch_size.clone(),
        );
        registry.register(
            "committed_rows",
            "Rows of the running chunk at the beginning of a chunk of real-time chunking",
            committed_rows.clone(),
        );
        registry.register(
            "stop_dispatch_seconds",
            "From the arrival of a viewer's stop to its departure towards the robot",
            stop_dispatch_secs.clone(),
        );
    }

    /// Counts a refused or failed connection or frame.
    pub(crate) fn error(&self, kind: &str) {
        self.errors.get_or_create(&kind_of(kind)).inc();
    }

    /// Counts a chunk that was computed but not sent.
    pub(crate) fn chunk_dropped(&self, reason: &str) {
        self.chunks_dropped.get_or_create(&kind_of(reason)).inc();
    }

    pub(crate) fn observe_inference(&self, took: Duration, stages: &[Stage]) {
        self.inference_secs.observe(took.as_secs_f64());
        for stage in stages {
            let secs = Duration::from_micros(stage.micros).as_secs_f64();
            self.stage_secs
                .get_or_create(&kind_of(&stage.name))
                .observe(secs);
        }
    }

    pub(crate) fn observe_batch(&self, robots: usize) {
        self.batch_size.observe(robots as f64);
    }

    pub(crate) fn observe_committed(&self, rows: usize) {
        self.committed_rows.observe(rows as f64);
    }

    pub(crate) fn observe_latency(&self, took: Duration) {
        self.latency_secs.observe(took.as_secs_f64());
    }

    pub(crate) fn observe_stop_dispatch(&self, took: Duration) {
        self.stop_dispatch_secs.observe(took.as_secs_f64());
    }

    /// All metrics in Prometheus' text format.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn kind_of(kind: &str) -> Kind {
    Kind {
        kind: kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn errors_are_counted_by_kind() {
        let metrics = Metrics::new();
        metrics.error("wrong_version");
        metrics.error("wrong_version");
        metrics.error("text_frame");
        let text = metrics.text().unwrap();
        assert!(
            text.contains("policy_studio_errors_total{kind=\"wrong_version\"} 2"),
            "{text}"
        );
        assert!(
            text.contains("policy_studio_errors_total{kind=\"text_frame\"} 1"),
            "{text}"
        );
    }
}
