"""`mf plan`: estimate teachers' calls and training's tokens, memory and hours before a run.

Formulas and their sources: docs/reference/planning.md. Nothing here is imported by a stage.
"""
