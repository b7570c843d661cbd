"""Joins plan, training and folder."""
