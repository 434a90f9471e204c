"""The data sets as products: their cards, one view for training elsewhere, and how each record came to be."""
