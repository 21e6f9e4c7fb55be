"""Tests of what everything else is made of."""
