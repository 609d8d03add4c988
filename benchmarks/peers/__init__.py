"""What several peers are worth: recipes of reuse over the number of sources, on pedestrians and on digits."""
