"""Targets of random words."""

from liveedit.data.emoji_edit.targets import random_words, vocabulary_words


def test_words_are_one_token_each(backbone) -> None:
    words = vocabulary_words(backbone.tokenizer.get_vocab())
    assert len(words) > 1000
    tokens = backbone.tokenizer([f" {word}" for word in words], add_special_tokens=False)
    assert {len(ids) for ids in tokens["input_ids"]} == {1}


def test_random_words_are_few_and_the_same_for_the_same_seed() -> None:
    words = ["ash", "birch", "cedar", "elm"]
    drawn = [random_words(words, seed) for seed in range(200)]
    assert drawn == [random_words(words, seed) for seed in range(200)]
    assert {len(one.split()) for one in drawn} == {1, 2, 3}
    assert {word for one in drawn for word in one.split()} == set(words)
