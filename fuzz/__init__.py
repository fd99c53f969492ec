"""Fuzzing, and what must hold whatever comes: targets of a few lines, a world of fakes, and the promises they check."""
