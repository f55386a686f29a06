// The Node player of `cargo xtask bench bindings`: does what a line of its input says and prints the nanoseconds that took.
'use strict';

const path = require('node:path');
const readline = require('node:readline');
const { Store } = require('../../bindings/node');

const RECORDS = 10_000;
const STRIDE = 7_919;
const VALUE_BYTES = 1_024;

async function main() {
  const [directory] = process.argv.slice(2);
  const store = Store.createSync(path.join(directory, 'data'), { keys: { keyFile: path.join(directory, 'root-key') } });
  const tenant = store.createTenantSync('acme');
  const collection = tenant.collection('c');
  const keys = Array.from({ length: RECORDS }, (_, n) => Buffer.from(`key-${`${(n * STRIDE) % RECORDS}`.padStart(6, '0')}`));
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  for (let begin = 0; begin < RECORDS; begin += 1_000) {
    const batch = tenant.batch();
    for (const key of keys.slice(begin, begin + 1_000)) batch.put(collection, key, value);
    batch.writeSync();
  }
  store.checkpointSync();
  const buffered = { durability: 'buffered' };
  process.stdout.write('ready\n');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [what, begin, count] = line.split(' ');
    const chosen = keys.slice(Number(begin), Number(begin) + Number(count));
    const begun = process.hrtime.bigint();
    if (what === 'get') {
      for (const key of chosen) if (collection.getSync(key).length !== VALUE_BYTES) throw new Error('another value');
    } else if (what === 'put') {
      for (const key of chosen) collection.putSync(key, value, buffered);
    } else {
      let size = 0;
      for (const record of collection) size += record.value.length;
      if (size !== RECORDS * VALUE_BYTES) throw new Error('another size');
    }
    process.stdout.write(`${process.hrtime.bigint() - begun}\n`);
  }
  store.closeSync();
}

main();
