"""Writes the rows of tonight's CSV that last night's has not, by an anti-join of DuckDB: yesterday, today, output, threads."""

import sys

import duckdb


def rows(path):
    columns = "{'euid': 'BIGINT', 'mobile_phone': 'VARCHAR', 'email': 'VARCHAR'}"
    return f"read_csv('{path}', header = true, columns = {columns})"


def main(yesterday, today, output, threads):
    duckdb.execute(f"SET threads = {int(threads)}")
    changed = f"SELECT t.* FROM {rows(today)} AS t ANTI JOIN {rows(yesterday)} AS y USING (euid, mobile_phone, email)"
    duckdb.execute(f"COPY ({changed}) TO '{output}' (HEADER true)")


main(*sys.argv[1:])
