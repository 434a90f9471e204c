"""Prompts as files, one each; a prompt's id and SHA-256 go into every record made with it."""

from music_flamingo.prompts.loader import Prompt, load, render, render_question, render_step_check

__all__ = ["Prompt", "load", "render", "render_question", "render_step_check"]
