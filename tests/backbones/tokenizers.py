"""Chat templates and tiny tokenizers of the families."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    PreTrainedTokenizerFast,
)

LAYERS, EDIT_LAYER = 5, 3
TEXT = "What is this? Who are you, my friend? Where was it made? a red dog, yes, in Rome. answer"

LLAVA_CHAT = """\
{%- for m in messages -%}{{- m['role'].upper() + ': ' -}}
{%- for c in m['content'] if c['type'] == 'image' -%}{{- '<image>\\n' -}}{%- endfor -%}
{%- for c in m['content'] if c['type'] == 'text' -%}{{- c['text'] + ' ' -}}{%- endfor -%}
{%- endfor -%}{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}"""
CHATML = """\
{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' -}}
{%- for c in m['content'] -%}
{%- if c['type'] == 'image' -%}{{- 'IMAGE' -}}{%- else -%}{{- c['text'] -}}{%- endif -%}
{%- endfor -%}{{- '<|im_end|>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
SMOLVLM_CHAT = """\
{{- '<|im_start|>' -}}{%- for m in messages -%}{{- m['role'] | capitalize -}}
{%- if m['content'][0]['type'] == 'image' -%}{{- ':' -}}{%- else -%}{{- ': ' -}}{%- endif -%}
{%- for c in m['content'] -%}
{%- if c['type'] == 'image' -%}{{- '<image>' -}}{%- else -%}{{- c['text'] -}}{%- endif -%}
{%- endfor -%}{{- '<end_of_utterance>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"""
GEMMA_CHAT = """\
{{- bos_token -}}{%- for m in messages -%}
{{- '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' -}}
{%- for c in m['content'] -%}
{%- if c['type'] == 'image' -%}{{- '<start_of_image>' -}}{%- else -%}{{- c['text'] | trim -}}
{%- endif -%}{%- endfor -%}{{- '<end_of_turn>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}"""


def tokenizer(
    special: list[str], *, eos: str, pad: str, bos: str | None = None, starts: bool = False, **more
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a family's special tokens.

    Args:
        special: All of them.
        eos: End of sequence.
        pad: Padding.
        bos: Start of sequence.
        starts: Whether the tokenizer puts it there.
        more: Tokens that the processor asks for by name.
    """
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if starts:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A $B:1",
            special_tokens=[(bos, made.token_to_id(bos))],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=eos,
        pad_token=pad,
        bos_token=bos,
        extra_special_tokens=more or [one for one in special if one not in (eos, pad, bos)],
    )
