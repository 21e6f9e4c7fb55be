"""Tests of the files that a jail runs from."""
