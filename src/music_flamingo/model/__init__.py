"""MusicFlamingo from transformers: building a tiny one, the words and sounds it is given, listening with it."""
