"""Media to tensors: one class per backbone family, each a Processor reached through Hydra's `_target_`.

Imported under their one name, `uniopd_mm.processors`; a second copy as top-level `processors` would have other records.
"""

if __name__ == "processors":
    raise ImportError("the folder processors/ is no top-level package: import uniopd_mm.processors")
