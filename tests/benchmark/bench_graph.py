"""B1, B2, B8, B11 and B13: the graph in memory and in the database."""

BENCHES = {}
