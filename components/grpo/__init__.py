from components.grpo.component import grpo

__all__ = ["grpo"]
