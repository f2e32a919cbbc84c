"""A service that takes 18 ms and refuses (429) what comes faster than sixty a second, but for a few at once."""
import os, socket, socketserver, sys, tempfile, threading, time

PATH = os.path.join(tempfile.gettempdir(), "conbench-program-limited.sock")
_own = threading.local()


class HTTPError(Exception):
    pass


def query(number):
    if not hasattr(_own, "file"):
        link = socket.socket(socket.AF_UNIX)
        link.connect(PATH)
        _own.link, _own.file = link, link.makefile("rwb")
    _own.file.write(b"%d\n" % number)
    _own.file.flush()
    status, result = map(int, _own.file.readline().split())
    if status != 200:
        raise HTTPError("HTTP Error %d: Too Many Requests" % status)
    return result


items = list(range(100))

if __name__ == "__main__":
    rate, burst, lock = float(sys.argv[1]), 10.0, threading.Lock()
    level, seen = burst, time.monotonic()

    def is_let_in():
        global level, seen
        with lock:
            now = time.monotonic()
            level, seen = min(burst, level + (now - seen) * rate), now
            if level < 1:
                return False
            level -= 1
            return True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            try:
                for line in self.rfile:
                    status = 200 if is_let_in() else 429
                    time.sleep(0.018)
                    self.wfile.write(b"%d %d\n" % (status, int(line)))
            except OSError:
                pass

    if os.path.exists(PATH):
        os.unlink(PATH)
    socketserver.ThreadingUnixStreamServer.daemon_threads = True
    socketserver.ThreadingUnixStreamServer(PATH, Handler).serve_forever()
