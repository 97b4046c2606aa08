"""Sends the rows of a CSV file with aiohttp on uvloop and writes what became of each: URL, input, report, in flight."""

import asyncio
import csv
import json
import sys
from datetime import datetime, timezone

import aiohttp
import uvloop


async def push(url, source, report, in_flight):
    rows = enumerate(csv.DictReader(source), start=1)
    headers = {"Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=in_flight)
    auth = aiohttp.BasicAuth("sandbox-key", "sandbox-secret")
    failed = 0

    async with aiohttp.ClientSession(connector=connector, auth=auth, headers=headers) as session:

        async def worker():
            nonlocal failed
            for number, row in rows:
                euid = row.pop("euid")
                record = {"row": number, "euid": euid, "outcome": "failed"}
                body = json.dumps({"euid": int(euid), "contacts": row})
                try:
                    async with session.post(url, data=body) as answer:
                        said = await answer.json()
                    record["outcome"] = "synced" if said["code"] == 0 else "failed"
                    record.update(code=said["code"], message=said["message"], http_status=answer.status)
                except (aiohttp.ClientError, ValueError) as error:
                    record["message"] = str(error)
                failed += record["outcome"] != "synced"
                record["at"] = datetime.now(timezone.utc).isoformat()
                report.write(json.dumps(record) + "\n")

        await asyncio.gather(*(worker() for _ in range(in_flight)))
    return failed


def main(url, source, report, in_flight):
    with open(source, newline="") as rows, open(report, "w") as out:
        return 1 if uvloop.run(push(url, rows, out, int(in_flight))) else 0


sys.exit(main(*sys.argv[1:]))
