"""On-policy distillation for vision-language models: the core, which knows neither domains nor modalities."""
