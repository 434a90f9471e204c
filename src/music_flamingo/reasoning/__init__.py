"""MF-Think: probe the model, select questions, write chains, check and rewrite their steps."""
