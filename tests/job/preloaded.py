"""What jobs import on their way. The server that they are forked from imports it, once for all of them."""

import transformers.tokenization_mistral_common  # noqa: F401 - AutoProcessor looks for tokenizers in it
from transformers.models.auto.video_processing_auto import video_processor_class_from_name

video_processor_class_from_name("none of them")  # looks into the module of every family
