"""Tokenizers of the two kinds there are, trained on the spot."""

import json
from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from uniopd_mm.processors.tiny import byte_level_bpe

TEXTS = ["Which way does the red square move? left right up down", "How many objects are there, and where?"] * 20
SPECIAL = ["<s>", "</s>", "<unk>"]


def byte_level(vocab_size: int = 320, texts: Sequence[str] = TEXTS) -> PreTrainedTokenizerFast:
    return byte_level_bpe(texts, vocab_size)


def sentencepiece(*, dummy_blank: bool) -> PreTrainedTokenizerFast:
    """As Llama 2 is written, with a blank before every text, or as Gemma is, without; other characters fall back on
    bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    marks = [normalizers.Prepend("\u2581")] if dummy_blank else []
    tokenizer.normalizer = normalizers.Sequence([*marks, normalizers.Replace(" ", "\u2581")])
    strip = [decoders.Strip(" ", 1, 0)] if dummy_blank else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    trainer = trainers.BpeTrainer(vocab_size=160, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    written = json.loads(tokenizer.to_str())
    vocab = written["model"]["vocab"]
    vocab |= {f"<0x{byte:02X}>": len(vocab) + byte for byte in range(256)}  # the trainer would make them special
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(written)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
        clean_up_tokenization_spaces=False,
    )
