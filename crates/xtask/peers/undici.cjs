// Sends the rows of a CSV file with undici and writes what became of each: URL, input, report, in flight.
'use strict';
const fs = require('node:fs');
const { parse } = require('csv-parse');
const { Pool } = require('undici');

async function main([url, input, report, inFlight]) {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: Number(inFlight), pipelining: 1 });
  const headers = {
    authorization: 'Basic ' + Buffer.from('sandbox-key:sandbox-secret').toString('base64'),
    'content-type': 'application/json',
  };
  const rows = fs.createReadStream(input).pipe(parse({ columns: true }));
  const out = fs.createWriteStream(report);
  const next = rows[Symbol.asyncIterator]();
  let row = 0;
  let failed = 0;

  async function worker() {
    for (;;) {
      const { done, value } = await next.next();
      if (done) return;
      const number = ++row;
      const { euid, ...contacts } = value;
      // An EUID may be larger than a number of JavaScript's holds exactly.
      const body = `{"euid":${euid},"contacts":${JSON.stringify(contacts)}}`;
      const record = { row: number, euid, outcome: 'failed', at: new Date().toISOString() };
      try {
        const answer = await pool.request({ path: pathname, method: 'POST', headers, body });
        const { code, message } = await answer.body.json();
        Object.assign(record, { outcome: code === 0 ? 'synced' : 'failed', code, message, http_status: answer.statusCode });
      } catch (error) {
        record.message = String(error);
      }
      if (record.outcome !== 'synced') failed += 1;
      if (!out.write(JSON.stringify(record) + '\n')) await new Promise((go) => out.once('drain', go));
    }
  }

  out.setMaxListeners(0);
  await Promise.all(Array.from({ length: Number(inFlight) }, worker));
  await new Promise((done) => out.end(done));
  await pool.close();
  process.exitCode = failed > 0 ? 1 : 0;
}

main(process.argv.slice(2));
