"""Learned models that Chiron's predictions are held against.

They are trained on half of the placements that ``chiron bench accuracy --out DIR``
measured, and predict the other half. Usage::

    python -m yardsticks DIR
    chiron bench accuracy report DIR
"""
