"""Rewards of GRPO (paper, section on post-training): format, accuracy, structured thinking.

Pure functions of text. A model's bad output earns 0.0; a reference that cannot be compared with gives None, and the
reward is then left out.
"""
