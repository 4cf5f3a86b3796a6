"""Makes calls of a client and says of each what came of it, as JSON on stdout."""

import inspect
import json
import sys


class Report:
    def __init__(self, client):
        self.client = client
        self.calls = []

    def call(self, name, run):
        """Runs one call; `run` raises what the client raises, or AssertionError for a wrong answer."""
        try:
            run()
            self.note(name, None)
        except Exception as error:
            self.note(name, error)

    async def call_async(self, name, run):
        try:
            result = run()
            if inspect.isawaitable(result):
                await result
            self.note(name, None)
        except Exception as error:
            self.note(name, error)

    def note(self, name, error):
        text = None if error is None else (str(error) or type(error).__name__)
        wrong = isinstance(error, AssertionError)
        self.calls.append({"client": self.client, "call": name, "error": text, "wrong": wrong})

    def print(self):
        json.dump(self.calls, sys.stdout)
        sys.stdout.write("\n")
