"""From samples to batches: order, encoding, splitting into micro-batches, padding."""
