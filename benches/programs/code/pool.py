"""A connection that a set-up opens and hands to each task, and that a teardown closes."""
import time


class Connection:
    def __init__(self):
        time.sleep(0.02)
        self.is_open = True

    def ask(self, number):
        assert self.is_open
        time.sleep(0.005)
        return number * 2

    def close(self):
        self.is_open = False


def connect():
    return Connection()


def disconnect(connection):
    connection.close()


def ask(connection, number):
    return connection.ask(number)


items = list(range(50))
