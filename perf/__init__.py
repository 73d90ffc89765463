"""Side-by-side benchmarks: what a thing costs here, and in the library that people know."""
