"""Models: checkpoints as functions of tokens, what they say of themselves, and the built-in zoo."""
