"""Contacts to EngageLab Marketing Automation, every night: Airflow 3, or 2.4 and later.

Credentials are the connection `engagelab`: the API key is its login, the secret its password. They go to contactsync by its
environment, so they stand in no command line and in no log. A try of a night goes on with the night's report; see docs/deployment.md.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

try:
    from airflow.sdk import BaseHook, dag, task
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException, AirflowSkipException
    from airflow.hooks.base import BaseHook

PROGRAM = "/usr/bin/contactsync"
CONFIGURATION = "/etc/contactsync/nightly.toml"
EXPORT = "/srv/contactsync/nightly.csv"
# On a disk that every worker sees which may run a try: state and reports are what the next try goes on with.
FOLDER = "/var/lib/contactsync/nightly"
CONNECTION = "engagelab"

FINISHED_WITH_FAULTS = 1
# Usage, credentials, too many failures, the export or the disk, a bug: nobody but a person mends these.
NEEDS_SOMEBODY = (2, 3, 4, 5, 70)
WINDOW_IS_OVER = 7
# Above --grace: for the last sync and the summary.
LONGEST_STOP = 50


def command(night: str) -> list[str]:
    """What is run, the same for each try of a night."""
    return [
        PROGRAM,
        "push",
        EXPORT,
        f"--config={CONFIGURATION}",
        f"--state={FOLDER}/contacts.state",
        f"--report={FOLDER}/reports/{night}.ndjson.zst",
        f"--summary={FOLDER}/reports/{night}.json",
        f"--metrics-file={FOLDER}/nightly.prom",
        "--resume",
        "--lock-wait=2m",
        "--grace=30s",
    ]


def environment() -> dict[str, str]:
    """The worker's, with the credentials."""
    credentials = BaseHook.get_connection(CONNECTION)
    return os.environ | {
        "ENGAGELAB_MA_API_KEY": credentials.login or "",
        "ENGAGELAB_MA_API_SECRET": credentials.password or "",
    }


def run(night: str) -> int:
    """Runs it to its end, and stops it where the try is stopped. What it says goes into the log of the task."""
    Path(FOLDER, "reports").mkdir(mode=0o700, parents=True, exist_ok=True)
    process = subprocess.Popen(
        command(night),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
        return process.wait()
    finally:
        # The time is over, or somebody marked the task: what is under way is finished, and the next try goes on.
        process.terminate()
        try:
            process.wait(LONGEST_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    # A night that was missed isn't made up for: an export of today says what yesterday's would have.
    catchup=False,
    max_active_runs=1,
    tags=["contactsync"],
)
def contactsync_nightly():
    @task(retries=8, retry_delay=timedelta(minutes=10), execution_timeout=timedelta(hours=4))
    def push(logical_date=None, dag_run=None):
        # A run that somebody starts by hand may have no date of its own.
        night = logical_date or dag_run.run_after
        status = run(night.strftime("%Y-%m-%dT%H%M%S"))
        if status == FINISHED_WITH_FAULTS:
            raise AirflowFailException("finished, and some rows were rejected or failed: the summary above says why")
        if status in NEEDS_SOMEBODY:
            raise AirflowFailException(f"contactsync ended with {status}, which no other try mends: see above")
        if status == WINDOW_IS_OVER:
            raise AirflowSkipException("the time window is over: the next night goes on")
        if status != 0:
            # Out of reach (6), or killed: the next try goes on.
            raise RuntimeError(f"contactsync ended with {status}")

    push()


contactsync_nightly()
