"""GRPO: prompts, sampling, rollouts and the trainer."""
