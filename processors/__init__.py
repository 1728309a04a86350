"""Media to tensors: one class per backbone family, each a Processor that is reached through Hydra's `_target_`.

The only import name is `uniopd_mm.processors`. A second import as top-level `processors` would define every class
twice.
"""

if __name__ == "processors":
    raise ImportError("the folder processors/ is not a top-level package: import uniopd_mm.processors")
