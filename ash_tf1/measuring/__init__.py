"""Measures images that a generator made, beside the real images that it was trained on."""
