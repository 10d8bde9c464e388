"""What language models are told around a prompt, as the pipelines of diffusers write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Chat = Callable[[Any, str], str]
"""(pipeline, prompt) -> what its tokenizer is given."""

_MARK = "\ufdd0"  # no character, and so in no template


def bare(pipeline: Any, prompt: str) -> str:
    """The prompt alone."""
    return prompt


def flux2_chat(pipeline: Any, prompt: str) -> str:
    """A user's message; dev, not klein, puts one of the system in front."""
    system = getattr(pipeline, "system_message", None)
    if system is None:
        return _ask(pipeline, prompt, enable_thinking=False)
    told = (("system", system), ("user", prompt))
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in told]
    return pipeline.tokenizer.apply_chat_template(messages, tokenize=False)


def z_image_chat(pipeline: Any, prompt: str) -> str:
    """A user's message, to be answered after thought."""
    return _ask(pipeline, prompt, enable_thinking=True)


def _ask(pipeline: Any, prompt: str, **options: Any) -> str:
    messages = [{"role": "user", "content": prompt}]
    return pipeline.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, **options
    )


def qwen_image_chat(pipeline: Any, prompt: str) -> str:
    """A template of the pipeline's own."""
    return pipeline.prompt_template_encode.format(prompt)


def lumina2_chat(pipeline: Any, prompt: str) -> str:
    """What the model was trained to be told first."""
    return f"{pipeline.system_prompt} <Prompt Start> {prompt}"


def around(chat: Chat, pipeline: Any, prompt: str) -> tuple[str, str]:
    """What stands before and behind the prompt.

    Raises:
        ValueError: the template changes the prompt itself.
    """
    before, _, after = chat(pipeline, _MARK).partition(_MARK)
    if chat(pipeline, prompt) != before + prompt + after:
        raise ValueError(
            f"the prompt {prompt!r} is not itself in what {type(pipeline).__name__} makes of it: "
            "take out spaces around it and marks like [IMG]"
        )
    return before, after
