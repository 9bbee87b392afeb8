"""WRITES A FILE: carries out a plan of `analysis`, storage by storage, in bounded memory.

`saving.save.saving` is what window and commands call. No Qt and no torch: the bundle that
people install has none. numpy and ml_dtypes come with the first value that has to be changed.
"""
