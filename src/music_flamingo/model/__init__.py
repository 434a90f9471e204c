"""MusicFlamingo from transformers: building a tiny one, its inputs, inference."""
