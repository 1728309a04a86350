"""The domain adapters: one file per domain, each a Task that a configuration names by `_target_`.

Import them as `uniopd_mm.tasks` only. Imported again as top-level `tasks`, every class would exist twice.
"""

if __name__ == "tasks":
    raise ImportError("the folder tasks/ is not a top-level package: import uniopd_mm.tasks")
