"""The runner of exported training loops. Needs JAX and NumPy alone: a package holds a copy of this folder.

Its modules import each other relatively, so that they work here and in the copy.
"""
