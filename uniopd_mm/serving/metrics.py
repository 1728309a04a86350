"""A server's metrics, for Prometheus."""

from collections.abc import Callable
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


@final
class Metrics:
    """One server's metrics, in their own registry.

    Args:
        waiting: returns the number of requests in the queue.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "uniopd_requests", "Requests, by endpoint and status", ["endpoint", "status"], registry=self.registry
        )
        self.rollouts = Counter(
            "uniopd_rollouts", "Responses scored or generated", ["endpoint"], registry=self.registry
        )
        self.tokens = Counter(
            "uniopd_tokens", "Tokens of responses scored or generated", ["endpoint"], registry=self.registry
        )
        self.failures = Counter("uniopd_failures", "Responses that could not be scored", registry=self.registry)
        self.media_bytes = Counter("uniopd_media_bytes", "Bytes of media received", registry=self.registry)
        self.media_hits = Counter("uniopd_media_cache_hits", "Media found in the cache", registry=self.registry)
        self.media_misses = Counter("uniopd_media_cache_misses", "Media missing in the cache", registry=self.registry)
        self.seconds = Histogram(
            "uniopd_request_seconds", "Seconds from a request to its reply", ["endpoint"], registry=self.registry
        )
        self.engine_seconds = Histogram("uniopd_engine_seconds", "Seconds of an engine call", registry=self.registry)
        self.batch_requests = Histogram(
            "uniopd_batch_requests",
            "Requests answered by one call of the engine",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        Gauge("uniopd_queue_length", "Requests in the queue", registry=self.registry).set_function(waiting)

    def text(self) -> bytes:
        return generate_latest(self.registry)
