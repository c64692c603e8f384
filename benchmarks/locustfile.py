"""Send the same requests from many processes and machines, with Locust.

Install it with `pip install "locust~=2.47"`. With the server on 10.0.0.5, start a master, and then
a worker for each core that takes part:

    locust -f benchmarks/locustfile.py --master --host http://10.0.0.5:8000
    locust -f benchmarks/locustfile.py --worker --master-host MASTER

Open http://MASTER:8089, or add `--headless --users 64 --run-time 1m` to the master's command.
"""

import random

from locust import FastHttpUser, task


class ApiUser(FastHttpUser):
    """Requests one item after another, as each share of a script does."""

    host = "http://127.0.0.1:8000"
    connection_timeout = network_timeout = 10.0  # seconds

    @task
    def read_item(self) -> None:
        """Request an item, and count any answer but the right one as a failure."""
        item_id = random.randrange(1, 25_000)
        with self.client.get(
            f"/items/{item_id}",
            name="/items/{item_id}",  # one row in the statistics, not one for each item
            allow_redirects=False,
            catch_response=True,
        ) as response:
            if not response.status_code:
                return  # no answer: Locust names the failure itself
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
                return
            try:
                body = response.content
            except Exception as error:  # a body that is cut, or in an unknown encoding
                response.failure(f"{type(error).__name__}: {error}")
                return
            if body != b'{"item_id":%d}' % item_id:
                response.failure("wrong answer")
