"""The Python agent: the only place where user work runs. One process, one candidate.

*Engines* (`engines`) know how to run tasks and see no step; *steps* (`steps`) know what a task does and see no
engine. They meet in `task`. It mirrors conbench's native agent module by module, and uses the standard library alone.
"""
