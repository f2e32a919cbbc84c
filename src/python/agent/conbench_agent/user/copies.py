"""A fresh item for each call, where calls change their items.

In the user's own run each item comes once; here items come again and again, and what one call took out of its item the
next would miss. Worker processes get copies by themselves.
"""

from __future__ import annotations

import pickle


def copied(item: object) -> object:
    """A copy such as a worker process gets; the item itself where none can be made."""
    # Pickle is several times as fast as `deepcopy`, whose time is charged to whoever runs the task.
    try:
        return pickle.loads(pickle.dumps(item, pickle.HIGHEST_PROTOCOL))
    except Exception:
        pass
    from copy import deepcopy

    try:
        return deepcopy(item)
    except Exception:
        return item
