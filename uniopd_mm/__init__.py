"""On-policy distillation for vision-language models: the core, which knows neither domains nor modalities."""

__version__ = "0.1.0"
