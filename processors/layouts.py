"""How families lay out media tensors, where their layout cannot be concatenated along its first dimension.

A batch joins the media of its samples along dim 0, in the order of the samples (`data.collate`). Most families lay out
their tensors so: an entry for each image, tile or patch. The exceptions are listed here, by the class of the stock
processor.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

Layout = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def images_first(media: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """[1, images, ...] as [images, 1, ...]. These models merge both dimensions before they use them."""
    return {name: tensor.transpose(0, 1) for name, tensor in media.items()}


LAYOUTS: Mapping[str, Layout] = {
    "SmolVLMProcessor": images_first,
    "Idefics2Processor": images_first,
    "Idefics3Processor": images_first,
}
REFUSED: Mapping[str, str] = {
    "MiniCPMV4_6Processor": "it joins the patches of all images along their width, which a batch cannot do",
}
NOT_READ: Mapping[tuple[str, str], str] = {
    ("Gemma4Processor", "video"): "its model in transformers 5.19 does not pass on how many frames each video has",
    ("Glm4vProcessor", "video"): "its model cannot read pictures and videos in one batch",
    ("Glm46VProcessor", "video"): "its model cannot read pictures and videos in one batch",
}
