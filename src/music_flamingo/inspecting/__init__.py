"""`mf inspect`: a batch as the model is about to see it, with what would be wrong about it, before a GPU is spent.

The batch comes from the stage's own plan and collator. It stands apart from training/, so that a change here trains
nothing anew.
"""
