"""How a root is made: a chain of layers from a release, each step in a build jail of its own."""
