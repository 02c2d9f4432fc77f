"""What the benchmarks share: problems with known fronts, tables of real evaluations, searches and their curves."""
