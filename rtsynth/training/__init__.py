"""Training and export: torch lives here and nowhere else. Nothing of it is needed to play what was exported."""
