"""Differences of models to integers and back (Eq. 5-8): steps, rounding, rate-distortion optimisation, exact differences.

`quantise` holds the equations, `steps` and `vectors` choose a tensor's step, `trial` quantises it with one, `lossless` finds
integers that lose nothing, `feedback` carries what was lost. Nothing here knows payloads.
"""
