"""Figures that suit any task, one file each."""
