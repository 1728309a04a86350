"""What a run writes and shows: metrics, rollouts, a summary, TensorBoard and W&B events, a progress bar, a report page.

Sinks receive finished records and return nothing; no training decision is made here. Only the main process of a
distributed run writes to the run folder.
"""
