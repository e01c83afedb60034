"""
A DNS server that knows no names and says so at once, on port 53 of this loopback: for peers that look up
whoever connects. It is a thread that sleeps while nobody asks.
"""
import socket
import threading

RESPONSE, RECURSION_AVAILABLE, NO_SUCH_NAME = 0x8000, 0x0080, 3
HEADER = 12  # octets


class Names:
    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.thread = None

    def start(self):
        self.socket.bind(("127.0.0.1", 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:  # stop()
                return
            if len(question) > HEADER:
                self.socket.sendto(self._answer(question), peer)

    @staticmethod
    def _answer(question):
        """The question again, without what stands behind it (RFC 1035 4.1.1)."""
        flags = int.from_bytes(question[2:4], "big") | RESPONSE | RECURSION_AVAILABLE | NO_SUCH_NAME
        end = HEADER
        while end < len(question) and question[end]:
            end += 1 + question[end]
        return (question[:2] + flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + question[HEADER:end + 5])

    def stop(self):
        if self.thread and self.thread.is_alive():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"", ("127.0.0.1", 53))
            self.thread.join()
        self.socket.close()
