"""A city of domains: which peers a target gets, what it costs as the city grows, and other frameworks beside it."""
