"""A task that changes the current directory, and reads what is there."""
import os, tempfile, time

_room = tempfile.mkdtemp(prefix="conbench-program-")
for _n in range(16):
    os.mkdir(os.path.join(_room, str(_n)))
    with open(os.path.join(_room, str(_n), "name"), "w") as _file:
        _file.write(str(_n))


def read(number):
    os.chdir(os.path.join(_room, str(number)))
    time.sleep(0.004)
    with open("name") as file:
        return int(file.read())


items = list(range(16))
