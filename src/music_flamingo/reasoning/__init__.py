"""MF-Think's pieces: what the model hears, which questions are chosen, how a chain is written, checked and mended."""
