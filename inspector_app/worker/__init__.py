"""Runs model code, in a process of its own, under whatever interpreter the model needs.

``protocol`` says what is asked and answered; ``client`` starts a worker and yields its
events; ``main`` is what the worker runs. The window and the command line import the
modules that need no torch (``client``, ``protocol``, ``interpreters``, ``source_listing``,
``consent``); all others are imported within the worker alone.
"""
