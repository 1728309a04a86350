"""The domain adapters: one file per domain, each a Task reached through Hydra's `_target_`.

Imported under their one name, `uniopd_mm.tasks`; a second copy as top-level `tasks` would have records of its own.
"""

if __name__ == "tasks":
    raise ImportError("the folder tasks/ is no top-level package: import uniopd_mm.tasks")
