"""The data sets as products: cards, one view for training elsewhere, and the lineage of each record."""
