"""From samples to batches: order, encoding, splitting, padding."""
