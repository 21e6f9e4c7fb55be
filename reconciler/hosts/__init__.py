"""Drivers: one folder per way to a host."""
