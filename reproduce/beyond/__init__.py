"""MAML and the methods that came after it, on the same tasks: one table and one figure (`make beyond`)."""
