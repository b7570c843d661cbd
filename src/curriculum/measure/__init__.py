"""Stored runs in, numbers and verdicts out. No torch, no ink."""
