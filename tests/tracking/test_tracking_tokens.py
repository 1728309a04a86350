"""Token strings against a real byte-level tokenizer's own decoder."""

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from uniopd_mm.tracking.tokens import token_strings
from uniopd_mm.types import Vocabulary

TEXT = "The blue square moves to the left.\nÇa va, 你好 🎉"


def vocabulary(tokens: dict[str, int]) -> Vocabulary:
    return Vocabulary(tokens=tokens, stop_ids=(), banned_ids=(), pad_id=0)


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<|im_end|>"], show_progress=False)
    tokenizer.train_from_iterator([TEXT] * 5, trainer)
    return tokenizer


def test_every_token_reads_as_the_tokenizer_decodes_it() -> None:
    tokenizer = byte_level()
    strings = token_strings(vocabulary(tokenizer.get_vocab()))
    for token_id in tokenizer.get_vocab().values():
        decoded = tokenizer.decode([token_id], skip_special_tokens=False)
        (string,) = strings(torch.tensor([token_id]))
        assert string == decoded if "\ufffd" not in decoded else "\\x" in string, token_id


def test_a_text_reads_as_written() -> None:
    tokenizer = byte_level()
    ids = torch.tensor(tokenizer.encode("moves to the left.<|im_end|>").ids)
    assert "".join(token_strings(vocabulary(tokenizer.get_vocab()))(ids)) == "moves to the left.<|im_end|>"


def test_other_vocabularies_and_unknown_ids() -> None:
    strings = token_strings(vocabulary({"▁the": 0, "é": 1}))
    assert strings(torch.tensor([0, 1, 7])) == [" the", "é", "<id 7>"]
