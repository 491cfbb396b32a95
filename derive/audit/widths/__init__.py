"""What moments and corrections at finite width mean: sums over entries, and expansions by another method."""
