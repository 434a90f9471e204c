"""Scoring: families of questions, answer extraction, normalisation, tolerances."""
