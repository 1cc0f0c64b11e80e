"""Documents into a collection: parse, split, embed and write, side by side and within bounds."""
