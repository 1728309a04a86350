"""What a server counts, for Prometheus."""

from collections.abc import Callable
from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


@final
class Metrics:
    """One server's, in a registry of its own.

    Args:
        waiting: how many requests wait now.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "uniopd_requests", "Requests, by endpoint and status", ["endpoint", "status"], registry=self.registry
        )
        self.rollouts = Counter("uniopd_rollouts", "Responses scored or written", ["endpoint"], registry=self.registry)
        self.tokens = Counter(
            "uniopd_tokens", "Tokens of responses scored or written", ["endpoint"], registry=self.registry
        )
        self.failures = Counter("uniopd_failures", "Responses that got no score", registry=self.registry)
        self.media_bytes = Counter("uniopd_media_bytes", "Bytes of media received", registry=self.registry)
        self.media_hits = Counter("uniopd_media_cache_hits", "Media that were here already", registry=self.registry)
        self.media_misses = Counter("uniopd_media_cache_misses", "Media that were asked for", registry=self.registry)
        self.seconds = Histogram(
            "uniopd_request_seconds", "From a request to its answer", ["endpoint"], registry=self.registry
        )
        self.engine_seconds = Histogram("uniopd_engine_seconds", "Calls of the engine", registry=self.registry)
        self.batch_requests = Histogram(
            "uniopd_batch_requests",
            "Requests answered by one call of the engine",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        Gauge("uniopd_queue_length", "Requests that wait", registry=self.registry).set_function(waiting)

    def text(self) -> bytes:
        return generate_latest(self.registry)
