"""A server that serves six connections at a time, and lets others wait; a task keeps one of its own a thread."""
import os, socket, socketserver, sys, tempfile, threading, time

PATH = os.path.join(tempfile.gettempdir(), "conbench-program-waiting-cap.sock")
_own = threading.local()


def query(number):
    if not hasattr(_own, "file"):
        link = socket.socket(socket.AF_UNIX)
        link.connect(PATH)
        _own.link, _own.file = link, link.makefile("rwb")
    _own.file.write(b"%d\n" % number)
    _own.file.flush()
    return int(_own.file.readline())


items = list(range(100))

if __name__ == "__main__":
    free = threading.Semaphore(int(sys.argv[1]))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            with free:
                try:
                    for line in self.rfile:
                        time.sleep(0.006)
                        self.wfile.write(line)
                except OSError:
                    pass

    if os.path.exists(PATH):
        os.unlink(PATH)
    socketserver.ThreadingUnixStreamServer.daemon_threads = True
    socketserver.ThreadingUnixStreamServer(PATH, Handler).serve_forever()
