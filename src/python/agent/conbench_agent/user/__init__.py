"""The user's own code: finding it, comparing what it gives, and saying what is wrong with it.

``loading``    names into objects: "shop.scrape:fetch_and_parse", with failures that help
``items``      what tasks are called with, read as it is needed
``setups``     set-up and teardown of processes, threads and loops
``caller``     what crossed from the `__main__` of a program that asked from Python
``watch``      modules that start processes while they are imported
``structure``  what an object is made of: the one walk that ``values`` and ``pickling`` share
``values``     a 64-bit digest of any value, the same in every process and engine
``pickling``   what cannot cross to another process, and why; what crossing costs
``traceback``  the user's own frames of an exception

Only ``loading``, ``items`` and ``setups`` are imported when a candidate starts, so that the start-up that is measured
is the user's.
"""
