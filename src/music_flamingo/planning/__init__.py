"""`mf plan`: what a run will need, before anything runs: teachers' calls; tokens, memory and hours of training.

Formulas and their sources: docs/reference/planning.md. Nothing here is imported by a stage.
"""
