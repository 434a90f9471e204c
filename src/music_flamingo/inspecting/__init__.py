"""`mf inspect`: show a training batch and check it for mistakes before a GPU is used.

The batch comes from the stage's own plan and collator. It stands apart from training/, so that a change here trains
nothing anew.
"""
