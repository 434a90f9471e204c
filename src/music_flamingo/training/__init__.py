"""Supervised fine-tuning and GRPO by TRL, with audio that reaches the model; plans of samples, checkpoints, logs."""
