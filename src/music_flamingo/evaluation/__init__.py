"""Asking held-out pieces: questions from the scores' truth, controls, intervals, tables and the gate of a release."""
