"""Ink: figures and the video. What is drawn was computed elsewhere."""
