"""The command line that all commands share: its options, its overrides, its help and its errors."""
