"""Lets a CUDA build of torchvision be imported with a CPU build of torch.

PyPI has no CPU build of torchvision. With torch+cpu, the CUDA build fails at import with
`operator torchvision::nms does not exist`, because its compiled operators cannot be loaded. Nothing in this project
calls these operators, so their schemas are declared just before torchvision is imported. A `.pth` file runs `install()`
in every Python process of the environment, because inference engines inspect model classes in subprocesses.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
library = None  # keeps a reference, because torch drops the operators with the Library object


class DeclareOperators(MetaPathFinder):
    """Declares the missing operators at the first import of torchvision, then removes itself."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            declare_operators()
        return None


def declare_operators() -> None:
    global library
    import torch

    if library is None and torch.version.cuda is None and torch.version.hip is None:
        library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            library.define(schema)


def install() -> None:
    sys.meta_path.insert(0, DeclareOperators())
