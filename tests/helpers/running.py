"""Links that run in threads of the tests."""

import threading

from catena_core import Link


class Running:
    """Links that run in threads of the tests; called with a link, it starts it, and returns it."""

    def __init__(self):
        self._threads = []

    def __call__(self, link):
        def live():
            try:
                link.run(link.options)
            except SystemExit as stopped:
                link.status = stopped.code

        link.status = 0
        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        self._threads.append((link, thread))
        return link

    def stop(self, link):
        """Stop one link, and wait for its end."""
        for other, thread in self._threads:
            if other is link:
                link.stop()
                thread.join(120)
                assert not thread.is_alive(), "the link did not stop"

    def close(self):
        """Stop all links."""
        for link, _ in self._threads:
            link.stop()
        for _, thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a link did not stop"


class Ticks(Link):
    """A link without Kafka; its generator calls the function that the test gives."""

    def __init__(self, tick, **given):
        super().__init__(**given)
        self.tick, self.calls, self.finished = tick, 0, 0

    def generator(self):
        self.calls += 1
        self.tick(self)

    def finish(self):
        self.finished += 1
