"""Kills Sluice at every moment that can be thought of, and looks whether what it acknowledged is lost."""
