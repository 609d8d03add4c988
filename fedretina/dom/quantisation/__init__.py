"""Differences of models to integers and back (Eq. 5-8): steps, rounding, rate-distortion optimisation, exact differences.

`quantise` and `restore` hold the equations, `steps` and `vectors` choose a tensor's step, `trial` quantises it with one,
`lossless` finds integers that lose nothing, `feedback` carries residuals. Nothing here knows payloads.
"""
