"""vLLM as a part of this process: one engine for rollouts, teachers and servers. Only vLLM users import its modules."""
