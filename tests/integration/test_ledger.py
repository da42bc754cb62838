"""The ledger as it really is: providers take offerings down, and two addresses describe one offering."""

import os
import signal

import requests

from tests.helpers.catena_up import Up
from tests.helpers.waiting import eventually


def test_taken_down_and_described_twice():
    up = Up(REDIS_HOST="", OFFERING_REFRESH_INTERVAL="3", OFFERING_GONE_AFTER="15", SANDBOX_OFFERINGS="12")
    try:
        up.found("all 12 offerings stand on 2 nodes each")
        booth = up.found("^sandbox ledger: (.*)/offerings")
        provider = booth.removesuffix("/api")
        gateway = up.gateway
        taken, owner = requests.get(f"{booth}/offerings", timeout=120).json()["addresses"][3:5]

        def listed(query):
            return {
                one["address"]: one
                for one in requests.get(f"{gateway}/offerings?{query}", timeout=120).json()["offerings"]
            }

        requests.delete(f"{provider}/descriptions/{taken}", timeout=120).raise_for_status()
        stale = eventually(lambda: listed("state=stale").get(taken), message=up.output)
        assert len(stale["nodes"]) == 2
        os.kill(up.pid_of("links.fetcher"), signal.SIGKILL)  # the schedule and the state outlive it
        gone = eventually(lambda: listed("state=gone").get(taken), message=up.output)
        assert "answers with status 404" in gone["error"]
        assert gone["next_try"]
        eventually(lambda: taken not in listed("") and len(listed("")) == 11)
        answer = requests.post(f"{gateway}/offerings", json={"offerings_id": taken}, timeout=120)
        assert answer.status_code == 404
        assert "is on the ledger, but gone" in answer.json()["detail"]

        copy = {"descriptionUri": f"{provider}/descriptions/{owner}"}
        requests.post(f"{booth}/offerings", json=copy, timeout=120).raise_for_status()
        (rival,) = eventually(lambda: list(listed("state=conflict").values()), message=up.output)
        assert rival["owned_by"] == owner
        answer = requests.post(f"{gateway}/offerings", json={"offerings_id": rival["address"]}, timeout=120)
        assert answer.status_code == 409
        assert owner in answer.json()["detail"]
        up.found(f"described by {owner} and by {rival['address']}")
        assert up.stop() == 0, up.output()
    finally:
        up.stop()
