"""The pitfalls: each one happens, then the same is done as it should be, with the figure of both."""
