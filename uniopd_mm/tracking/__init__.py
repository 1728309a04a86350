"""What a run leaves behind and shows: metrics, rollouts, a summary, TensorBoard and W&B events, a progress bar, a page.

Sinks take finished records and give nothing back; no training decision is made here. One process writes a run folder:
in a distributed run only the main process builds these sinks.
"""
