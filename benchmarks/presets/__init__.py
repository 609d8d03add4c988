"""Measure the presets of `DomGrid` beside plain Flower on several federations, and write docs/results/presets.md."""
