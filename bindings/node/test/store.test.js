// Stores: opening, closing, upkeep, many promises, workers, collected objects.
'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { Store } = require('..');
const { folder, kind, options, store } = require('./support');

test('opens, closes and opens again', async (t) => {
  const where = folder();
  const data = path.join(where, 'data');
  await assert.rejects(Store.open(data, options(where)), kind('Unavailable'));
  const first = await Store.create(data, options(where));
  const collection = (await first.createTenant('acme', { dedicated: true })).collection('c');
  await collection.put('k', 'v');
  assert.throws(() => Store.openSync(data, options(where)), (error) => error.kind === 'Busy' && error.retryable);
  assert.throws(() => Store.createSync(data, options(where)), kind('AlreadyExists'));
  await first.close();
  first.closeSync();
  assert.throws(() => collection.getSync('k'), kind('Poisoned'));
  await assert.rejects(collection.put('k', 'v'), kind('Poisoned'));
  const again = Store.openSync(data, options(where));
  assert.equal(again.tenantSync('acme').collection('c').getSync('k').toString(), 'v');
  const [tenant] = again.tenants();
  assert.deepEqual([tenant.name, tenant.region, tenant.dedicated, tenant.id.length], ['acme', 'default', true, 32]);
  again.closeSync();
});

test('what is disposed of is closed', async (t) => {
  const [dispose, asyncDispose] = [
    Symbol.dispose ?? Symbol.for('nodejs.dispose'),
    Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose'),
  ];
  const where = folder();
  const data = path.join(where, 'data');
  const first = Store.createSync(data, options(where));
  const tenant = first.createTenantSync('acme');
  const collection = tenant.collection('c');
  collection.putSync('k', 'v');
  const scan = collection.scan();
  scan[dispose]();
  assert.throws(() => [...scan], TypeError);
  const snapshot = tenant.snapshot();
  snapshot[dispose]();
  assert.throws(() => snapshot.getSync(collection, 'k'), TypeError);
  first[dispose]();
  assert.throws(() => collection.getSync('k'), kind('Poisoned'));
  const again = Store.openSync(data, options(where));
  await again[asyncDispose]();
  Store.openSync(data, options(where)).closeSync();
});

test('a passphrase, regions and figures', (t) => {
  const where = folder();
  const phrase = (passphrase) => ({ passphrase, memoryKib: 64, passes: 1, lanes: 1 });
  const more = {
    keys: { default: phrase('right') },
    keyStore: path.join(where, 'keys'),
    regions: { eu: { root: path.join(where, 'eu') } },
    cacheBytes: 1 << 20,
    background: false,
  };
  const created = Store.createSync(path.join(where, 'data'), more);
  created.createTenantSync('acme', { region: 'eu' }).collection('c').putSync('k', 'v');
  created.tickSync();
  created.flushSync();
  created.closeSync();
  const wrong = { ...more, keys: phrase('wrong') };
  assert.throws(() => Store.openSync(path.join(where, 'data'), wrong), kind('KeyUnavailable'));
  assert.throws(() => Store.openSync(path.join(where, 'data'), { ...more, cacheBytes: 1 }), kind('InvalidArgument'));
});

test('two hundred puts under way take no thread and share syncs', async (t) => {
  const { tenant } = store(t);
  const collection = tenant.collection('c');
  const versions = await Promise.all(Array.from({ length: 200 }, (_, n) => collection.put(`${n}`, 'v')));
  assert.equal(new Set(versions.map((version) => version.sequence)).size, 200);
  assert.equal(collection.countSync(), 200);
});

test('more reads wait than libuv has threads', async (t) => {
  const { tenant } = store(t);
  const collection = tenant.collection('c');
  for (let n = 0; n < 100; n++) collection.putSync(`${n}`, `${n}`, { durability: 'buffered' });
  const values = await Promise.all(Array.from({ length: 100 }, (_, n) => collection.get(`${n}`)));
  assert.deepEqual(values.map(String), Array.from({ length: 100 }, (_, n) => `${n}`));
});

test('upkeep', async (t) => {
  const { store: opened, tenant } = store(t);
  const collection = tenant.collection('c');
  collection.putSync('k', 'v');
  await opened.flush();
  await opened.checkpoint();
  opened.checkpointSync();
  assert.equal(await tenant.rewrite(), true);
  assert.equal(tenant.rewriteSync(), true);
  assert.equal((await opened.createTenant('empty')).rewriteSync(), false);
  const report = await opened.verify();
  assert.ok(report.isGood && report.records >= 1 && report.problems.length === 0);
  assert.equal(opened.verifySync('acme').tenants, 1);
  await assert.rejects(opened.verify('nobody'), kind('NotFound'));
  await tenant.createCollection('d');
  tenant.renameCollectionSync('d', 'e');
  assert.deepEqual(tenant.collections().map((info) => info.name), ['c', 'e']);
  await tenant.dropCollection('e');
  await assert.rejects(tenant.dropCollection('e'), kind('NotFound'));
  await assert.rejects(tenant.renameCollection('x', 'y'), kind('NotFound'));
});

test('what is collected early does no harm', async (t) => {
  const { store: opened } = store(t);
  let collection = opened.createTenantSync('b').collection('c');
  const made = Array.from({ length: 50 }, (_, n) => collection.put(`${n}`, 'v'));
  const scans = Array.from({ length: 50 }, () => collection.scan().records().next());
  collection = null;
  global.gc?.();
  await Promise.all(made);
  assert.equal(scans.length, 50);
  assert.equal(opened.tenantSync('b').collection('c').countSync(), 50);
});

test('a worker has a store of its own, and one that ends with work under way does no harm', async (t) => {
  const where = folder();
  const code = `
    const { Store } = require(${JSON.stringify(path.resolve(__dirname, '..'))});
    const store = Store.createSync(${JSON.stringify(path.join(where, 'data'))}, ${JSON.stringify(options(where))});
    const collection = store.createTenantSync('acme').collection('c');
    for (let n = 0; n < 100; n++) { collection.put(String(n), 'v'); collection.get(String(n)); }
    process.exit(0);`;
  await new Promise((resolve) => new Worker(code, { eval: true }).on('exit', resolve));
  const child = spawnSync(process.execPath, ['-e', code.replaceAll('data', 'data2').replaceAll('root-key', 'key2')]);
  assert.equal(child.status, 0, String(child.stderr));
});

test('a process ends by itself once nothing is under way', (t) => {
  const where = folder();
  const code = `
    const { Store } = require(${JSON.stringify(path.resolve(__dirname, '..'))});
    (async () => {
      const store = await Store.create(${JSON.stringify(path.join(where, 'data'))}, ${JSON.stringify(options(where))});
      await (await store.createTenant('acme')).collection('c').put('k', 'v');
      console.log('done');
    })();`;
  const child = spawnSync(process.execPath, ['-e', code], { timeout: 60_000 });
  assert.deepEqual([child.status, String(child.stdout)], [0, 'done\n'], String(child.stderr));
});

test('what a promise works with is not collected before it is settled', async (t) => {
  const where = folder();
  let open;
  const gate = new Promise((resolve) => { open = resolve; });
  let isShut = false;
  const wait = async (bytes) => {
    if (isShut) await gate;
    return Buffer.from(bytes);
  };
  const s = await Store.create(path.join(where, 'data'), { keys: { wrap: wait, unwrap: wait } });
  const tenant = await s.createTenant('acme');
  await tenant.collection('c').put('k', 'v');
  // All threads wait for the provider, so what comes after them is not begun.
  isShut = true;
  const busy = Array.from({ length: 16 }, (_, n) => s.createTenant(`t${n}`));
  const gone = [];
  const pending = (() => {
    const collections = Array.from({ length: 20 }, () => tenant.collection('c'));
    gone.push(...collections.map((collection) => new WeakRef(collection)));
    return collections.flatMap((collection) => [collection.get('k'), collection.count(), collection.info('k')]);
  })();
  for (let turn = 0; turn < 1000 && gone.some((ref) => ref.deref() !== undefined); turn++) {
    await new Promise(setImmediate);
    global.gc();
    await new Promise(setImmediate);
  }
  assert.ok(gone.every((ref) => ref.deref() === undefined), 'nothing was collected');
  // What is collected is freed a turn later.
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  open();
  await Promise.all(busy);
  for (const [index, value] of (await Promise.all(pending)).entries()) {
    if (index % 3 === 0) assert.equal(`${value}`, 'v');
    else assert.equal(index % 3 === 1 ? value : value.valueSize, 1);
  }
  await s.close();
});
