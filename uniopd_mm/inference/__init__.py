"""vLLM in this process: one engine for rollouts, teachers and servers. Only code that uses vLLM imports it."""
